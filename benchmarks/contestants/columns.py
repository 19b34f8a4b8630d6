"""What every contestant is to find in a line; `events` of the lake has three columns more."""

import pyarrow as pa

COLUMNS = pa.schema(
    [
        ("line_no", pa.int64()),
        ("kind", pa.string()),
        ("ts", pa.timestamp("us")),
        ("server_name", pa.string()),
        ("client_ip", pa.string()),
        ("port", pa.int32()),
        ("tls", pa.bool_()),
        ("peer_name", pa.string()),
        ("sender", pa.string()),
        ("auth_mechanism", pa.string()),
        ("auth_user", pa.string()),
        ("auth_success", pa.bool_()),
        ("message_id", pa.string()),
        ("status", pa.string()),
        ("verdict", pa.string()),
    ]
)
