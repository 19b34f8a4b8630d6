"""Log viewers, told what the lines look like. They write no Parquet, so rows are not compared."""

import json
import os
import resource
import subprocess
from pathlib import Path

_STAMP = r"^\[(?<timestamp>\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d)\], \((?<server_name>[^)]*)\), "
_LNAV_FORMAT = {
    "$schema": "https://lnav.org/schemas/format-v1.schema.json",
    "acceptlog": {
        "title": "acceptlog",
        "regex": {
            "accept": {
                "pattern": _STAMP + r"\[(?<client_ip>[^\]]*)\]:(?<port>\d+)(?<tls> SSL)?, "
                r"(?<body>Client accept now\.)\r?$"
            },
            "verdict": {
                "pattern": _STAMP + r"(?<peer_name>[^\[]*)\[(?<client_ip>[^\]]*)\], "
                r"(?<body>(?<subject>.*),<(?<message_id>\w*)>,"
                r"(?<status>ok|abort|connection timeout))\r?$"
            },
        },
        "timestamp-format": ["%d/%b/%Y:%H:%M:%S"],
        "timestamp-field": "timestamp",
        "body-field": "body",
        "value": {
            "server_name": {"kind": "string"},
            "client_ip": {"kind": "string"},
            "port": {"kind": "integer"},
            "tls": {"kind": "string"},
            "peer_name": {"kind": "string"},
            "subject": {"kind": "string"},
            "message_id": {"kind": "string"},
            "status": {"kind": "string"},
        },
        "sample": [
            {"line": "[03/Jun/2026:09:00:01], (mx1), [192.0.2.1]:25, Client accept now."},
        ],
    },
}
_LNAV_QUERY = (
    "select log_line, log_time, server_name, client_ip, port, tls, peer_name, subject, message_id,"
    " status from acceptlog"
)


def lnav(log: str, out: str) -> dict[str, object]:
    """Its own format file, a query over all lines, and the rows as CSV."""
    home = Path(f"{out}.home")
    formats = home / ".config" / "lnav" / "formats" / "acceptlog"
    formats.mkdir(parents=True, exist_ok=True)
    (formats / "acceptlog.json").write_text(json.dumps(_LNAV_FORMAT))
    csv = f"{out}.csv"
    command = ["lnav", "-n", "-c", f";{_LNAV_QUERY}", "-c", f":write-csv-to {csv}", log]
    return _run(command, csv, home)


def goaccess(log: str, out: str) -> dict[str, object]:
    """A report of requests by client, with what follows the address as the request."""
    report = f"{out}.json"
    command = [
        *("goaccess", log, "-o", report, "--no-global-config", "--no-progress"),
        *("--log-format=[%d:%t], (%^), %^[%h]%r", "--date-format=%d/%b/%Y", "--time-format=%T"),
    ]
    return _run(command, report, Path(out).parent)


def _run(command: list[str], out: str, home: Path) -> dict[str, object]:
    Path(out).unlink(missing_ok=True)
    environment = os.environ | {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}
    subprocess.run(
        command, env=environment, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=True
    )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return {"peak_bytes": peak, "output": out}
