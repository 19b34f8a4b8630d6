"""The tables of the lake: every column with its type, its unit and what null means.

`host` (VARCHAR) and `date` (DATE, the day in the log file's name) are not in the files: they are
the partition, `host=H/date=D`.
"""

import pyarrow as pa


def _table(*fields: tuple[str, pa.DataType, str]) -> pa.Schema:
    return pa.schema(
        [pa.field(name, dtype, metadata={"comment": comment}) for name, dtype, comment in fields]
    )


_TIMESTAMP = pa.timestamp("us")
_TIMESTAMP_UTC = pa.timestamp("us", tz="UTC")

EVENTS = _table(
    ("line_no", pa.int64(), "Number of the line in its file, from 1."),
    ("kind", pa.string(), "accept, verdict, debug, malformed or blank."),
    (
        "ts",
        _TIMESTAMP,
        "Server-local time as logged, whole seconds. Of an accept: the connect; of a verdict: MAIL"
        " FROM or the last AUTH result, not the decision. Null where the line shows none.",
    ),
    (
        "ts_utc",
        _TIMESTAMP_UTC,
        "ts in UTC by the host's time zone; of an hour that occurs twice, the first."
        " Null where ts is.",
    ),
    ("server_name", pa.string(), "The server's own name. Null where the line shows none."),
    (
        "client_ip",
        pa.string(),
        "IPv4 or IPv6 address of the SMTP client as logged. Null where the line shows none.",
    ),
    (
        "port",
        pa.int32(),
        "Accept lines: the server's listening port (old IPv6 builds: the client's)."
        " Null otherwise.",
    ),
    (
        "tls",
        pa.bool_(),
        "Accept lines: implicit TLS at connect (STARTTLS leaves no trace). Null otherwise.",
    ),
    (
        "peer_name",
        pa.string(),
        "Verdict lines: PTR name of the client (BSD) or its address again (Windows); '' = none."
        " Null otherwise.",
    ),
    (
        "sender",
        pa.string(),
        "Envelope sender as the client gave it; '' = null reverse-path."
        " Null = the line has none (AUTH, DNSBL, reverse DNS, other kinds).",
    ),
    (
        "auth_mechanism",
        pa.string(),
        "PLAIN, LOGIN, CRAM-MD5, XAOUTH2 or unknown, as logged. Null = no AUTH in the line.",
    ),
    ("auth_user", pa.string(), "User name given in AUTH; may be ''. Null = no AUTH in the line."),
    ("auth_success", pa.bool_(), "Whether AUTH succeeded. Null = no AUTH in the line."),
    (
        "message_id",
        pa.string(),
        "The server's own id of the message, shared with inlog and receivelog."
        " Null = none assigned.",
    ),
    ("status", pa.string(), "Verdict lines: ok, abort or connection timeout. Null otherwise."),
    (
        "verdict",
        pa.string(),
        "Verdict lines: accepted, rejected_dnsbl (B-3), rejected_reverse_dns, rejected_auth,"
        " rejected_policy (B-1: no id), rejected_content (B-2: an id), timeout. Null otherwise.",
    ),
    ("parse_error", pa.string(), "Malformed lines: the first rule broken. Null otherwise."),
    (
        "raw",
        pa.binary(),
        "The line's bytes, where the other columns do not reproduce them; without the file's usual"
        " line end, with any other. Null = the columns reproduce the line.",
    ),
)

VERDICTS = pa.schema(
    [
        EVENTS.field(name)
        for name in (
            "line_no",
            "ts",
            "ts_utc",
            "server_name",
            "client_ip",
            "peer_name",
            "sender",
            "auth_mechanism",
            "auth_user",
            "auth_success",
            "message_id",
            "status",
            "verdict",
        )
    ]
    + list(
        _table(
            (
                "sender_domain",
                pa.string(),
                "What follows the sender's last @, lower case, without a final dot."
                " Null = no sender or no @ in it.",
            ),
            (
                "sender_registrable_domain",
                pa.string(),
                "sender_domain cut to the part someone registered (public suffix plus one label)."
                " Null = no sender_domain, or nothing registrable in it (an address literal).",
            ),
            (
                "connection_id",
                pa.string(),
                "The connection this verdict answers, by the pairing rule. Null = orphan.",
            ),
            (
                "connected_at",
                _TIMESTAMP,
                "Server-local time of that connection's accept. Null = orphan.",
            ),
            (
                "latency_s",
                pa.int32(),
                "Seconds from the accept to ts (MAIL FROM or AUTH, not the decision)."
                " Null = orphan.",
            ),
            (
                "pairing",
                pa.string(),
                "only = no other accept of this address in the 10 minutes before; nearest = the"
                " most recent unanswered one of several; continued = a further message of the"
                " address's latest connection within the hour. Null = orphan.",
            ),
        )
    )
)

CONNECTIONS = _table(
    (
        "connection_id",
        pa.string(),
        "host/date/line_no of the accept line; stable over re-ingestion. Never null.",
    ),
    ("line_no", pa.int64(), "Number of the accept line in its file, from 1."),
    ("connected_at", _TIMESTAMP, "Server-local time of the accept, whole seconds. Never null."),
    ("connected_at_utc", _TIMESTAMP_UTC, "connected_at in UTC by the host's time zone."),
    ("client_ip", pa.string(), "IPv4 or IPv6 address of the SMTP client as logged."),
    ("port", pa.int32(), "The server's listening port (old IPv6 builds: the client's)."),
    ("tls", pa.bool_(), "Implicit TLS at connect (STARTTLS leaves no trace)."),
    ("server_name", pa.string(), "The server's own name."),
    ("verdict_count", pa.int64(), "Verdicts paired with this connection."),
    ("accepted_count", pa.int64(), "Of these, verdict accepted."),
    ("rejected_count", pa.int64(), "Of these, any rejected_… verdict; timeouts are neither."),
    (
        "first_verdict_at",
        _TIMESTAMP,
        "ts of its first verdict, server-local. Null = none.",
    ),
    ("latency_s", pa.int32(), "Seconds from accept to first_verdict_at. Null = no verdict."),
    (
        "outcome",
        pa.string(),
        "accepted = some verdict accepted and none else; rejected = verdicts but none accepted"
        " (timeouts included); mixed = both; no_verdict.",
    ),
    ("pairing", pa.string(), "How its first verdict was paired. Null = no verdict."),
)

HOURLY_COUNTS = _table(
    ("hour", pa.int32(), "Hour of the event's own stamp, server-local, 0–23."),
    ("subject", pa.string(), "What is counted: connection or verdict."),
    ("class", pa.string(), "Of connections their outcome, of verdicts their verdict."),
    ("pairing", pa.string(), "As in connections and verdicts. Null = not paired."),
    ("latency_s", pa.int32(), "Seconds from accept to verdict (its first). Null = not paired."),
    ("n", pa.int64(), "How many there are with exactly these values."),
)
