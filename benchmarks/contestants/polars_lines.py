r"""Polars, streaming from file to file, two ways. What is not UTF-8 it replaces by `�`.

Strings are its only way to read lines (`scan_lines` refuses other bytes, and CSV has no binary
columns), so the bytes of such a line are lost, but not the line.
"""

import polars as pl

_PATTERN = (
    r"(?s)^\[(?<stamp>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d)\], \((?<server>[^)]*)\), "
    r"(?<peer>[^\[]*)\[(?<client>[^\]]*)\](?::(?<port>[1-9][0-9]{0,4})(?<tls> SSL)?"
    r"(?<accept>, Client accept now\.)|, (?<subject>.*),<(?<id>"
    r"B[0-9]{10}|B[0-9][1-9a-c][0-9]{10}|0{12}|)>,(?<status>ok|abort|connection timeout))$"
)
_ID = r"^(?:B[0-9]{10}|B[0-9][1-9a-c][0-9]{10}|0{12}|)$"
_ADDRESS = (
    r"^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.|$)){4}$"
    r"|^[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*(?:%.+)?$"
)
_AUTH = (
    r"(?s)^AUTH-(?<mechanism>PLAIN|LOGIN|CRAM-MD5|XAOUTH2|unknown):"
    r"(?<user>.*) \[(?<outcome>success|failed)\]$"
)
_DEBUG = r"(?s)^ <(?<id>B[0-9]{10}|B[0-9][1-9a-c][0-9]{10}|0{12}|)>, \[.*\](?:, .*)?$"
_PORT = r"^[1-9][0-9]{0,4}$"
_ACCEPT = ", Client accept now."
_NO_IDS = ["B0000000000", "000000000000", ""]


def by_pattern(log: str, out: str) -> dict[str, str]:
    """One regular expression for both kinds of line."""
    piece = pl.col("line").str.extract_groups(_PATTERN)
    lines = _lines(log).with_columns(piece.alias("piece")).unnest("piece")
    lines = lines.with_columns(
        is_accept=pl.col("accept").is_not_null(), tls=pl.col("tls").is_not_null()
    )
    return _write(lines, out)


def by_position(log: str, out: str) -> dict[str, str]:
    """Splits, slices and the length of what was found before."""
    line, tail, head = pl.col("line"), pl.col("tail"), pl.col("head")
    lines = _lines(log).with_columns(
        stamp=line.str.slice(1, 20),
        has_stamp=line.str.starts_with("[") & (line.str.slice(21, 4) == "], ("),
        pieces=line.str.slice(25).str.splitn("), ", 2),
    )
    lines = lines.with_columns(
        server=pl.col("pieces").struct[0],
        pieces=pl.col("pieces").struct[1].str.splitn("[", 2),
    )
    lines = lines.with_columns(
        peer=pl.col("pieces").struct[0],
        pieces=pl.col("pieces").struct[1].str.splitn("]", 2),
    )
    lines = lines.with_columns(
        client=pl.col("pieces").struct[0],
        tail=pl.when("has_stamp").then(pl.col("pieces").struct[1]),
    )
    lines = lines.with_columns(
        is_accept=tail.str.starts_with(":") & tail.str.ends_with(_ACCEPT),
        port=tail.str.strip_suffix(_ACCEPT).str.strip_prefix(":"),
        status=pl.when(~tail.str.starts_with(", "))
        .then(None)
        .when(tail.str.ends_with(">,ok"))
        .then(pl.lit("ok"))
        .when(tail.str.ends_with(">,abort"))
        .then(pl.lit("abort"))
        .when(tail.str.ends_with(">,connection timeout"))
        .then(pl.lit("connection timeout")),
    )
    lines = lines.with_columns(
        tls=pl.col("port").str.ends_with(" SSL"),
        port=pl.col("port").str.strip_suffix(" SSL"),
        head=tail.str.strip_suffix(pl.concat_str(pl.lit(">,"), "status")),
    )
    lines = lines.with_columns(
        id=pl.when(head.str.slice(-13, 2) == ",<")
        .then(head.str.slice(-11))
        .when(head.str.ends_with(",<"))
        .then(pl.lit(""))
        .when(head.str.slice(-14, 2) == ",<")
        .then(head.str.slice(-12))
        .when(head.str.slice(-15, 2) == ",<")
        .then(head.str.slice(-13))
    )
    lines = lines.with_columns(
        subject=head.str.strip_suffix(pl.concat_str(pl.lit(",<"), "id")).str.slice(2),
        status=pl.when(pl.col("id").str.contains(_ID)).then("status"),
        is_accept=pl.col("is_accept") & pl.col("port").str.contains(_PORT),
    )
    return _write(lines, out)


def _lines(log: str) -> pl.LazyFrame:
    lines = pl.scan_csv(
        log,
        has_header=False,
        separator="\x01",
        quote_char=None,
        encoding="utf8-lossy",
        schema={"line": pl.String},
        empty_string_is_null=False,
        truncate_ragged_lines=True,
        row_index_name="line_no",
        row_index_offset=1,
    )
    return lines.with_columns(pl.col("line").fill_null("").str.strip_suffix("\r"))


def _write(lines: pl.LazyFrame, out: str) -> dict[str, str]:
    """Make events of lines and their pieces."""
    line, subject, status = pl.col("line"), pl.col("subject"), pl.col("status")
    lines = lines.with_columns(
        ts=pl.col("stamp").str.to_datetime("%d/%b/%Y:%H:%M:%S", time_unit="us", strict=False),
        is_clean=~line.str.contains("\0", literal=True) & pl.col("client").str.contains(_ADDRESS),
        has_return=line.str.contains("\r", literal=True),
        no_id=pl.col("id").is_in(_NO_IDS),
        auth=pl.when(subject.str.starts_with("AUTH-")).then(subject.str.extract_groups(_AUTH)),
    ).unnest("auth")
    has_head = pl.col("ts").is_not_null() & pl.col("is_clean")
    is_auth = pl.col("outcome").is_not_null()
    lines = lines.with_columns(
        accepts=has_head
        & pl.col("is_accept")
        & (pl.col("peer") == "")
        & (pl.col("port").cast(pl.Int32, strict=False) < 65536)
        & ~pl.col("has_return"),
        judges=has_head & status.is_not_null() & (is_auth | ~pl.col("has_return")),
        debug_id=pl.when(line.str.starts_with(" <") & ~line.str.contains("\0", literal=True)).then(
            line.str.extract(_DEBUG, 1)
        ),
    )
    accepts, judges, no_id = pl.col("accepts"), pl.col("judges"), pl.col("no_id")
    is_refused = judges & (status == "abort") & no_id
    is_dnsbl = is_refused & (subject == "It was in the ORDB IP.")
    is_reverse_dns = is_refused & (subject == '"Revers DNS" was failed.')
    is_read = (accepts | judges).fill_null(value=False)

    def of_verdicts(value: pl.Expr) -> pl.Expr:
        return pl.when(judges).then(value)

    debug_id = pl.when(~pl.col("debug_id").is_in(_NO_IDS)).then("debug_id")
    events = lines.select(
        pl.col("line_no").cast(pl.Int64),
        kind=pl.when(accepts)
        .then(pl.lit("accept"))
        .when(judges)
        .then(pl.lit("verdict"))
        .when(line.str.strip_chars(" \t\r\n\v\f") == "")
        .then(pl.lit("blank"))
        .when(pl.col("debug_id").is_not_null())
        .then(pl.lit("debug"))
        .otherwise(pl.lit("malformed")),
        ts=pl.when(is_read).then("ts"),
        server_name=pl.when(is_read).then("server"),
        client_ip=pl.when(is_read).then("client"),
        port=pl.when(accepts).then(pl.col("port").cast(pl.Int32, strict=False)),
        tls=pl.when(accepts).then("tls"),
        peer_name=of_verdicts(pl.col("peer").str.strip_suffix(" ")),
        sender=pl.when(judges & ~is_auth & ~is_dnsbl & ~is_reverse_dns).then(subject),
        auth_mechanism=of_verdicts(pl.col("mechanism")),
        auth_user=of_verdicts(pl.col("user")),
        auth_success=of_verdicts(pl.col("outcome") == "success"),
        message_id=pl.when(judges & ~no_id).then("id").otherwise(debug_id),
        status=of_verdicts(status),
        verdict=pl.when(~judges)
        .then(None)
        .when(status == "ok")
        .then(pl.lit("accepted"))
        .when(status == "connection timeout")
        .then(pl.lit("timeout"))
        .when(judges & ~no_id)
        .then(pl.lit("rejected_content"))
        .when(is_dnsbl)
        .then(pl.lit("rejected_dnsbl"))
        .when(is_reverse_dns)
        .then(pl.lit("rejected_reverse_dns"))
        .when(judges & (pl.col("outcome") == "failed"))
        .then(pl.lit("rejected_auth"))
        .when(judges)
        .then(pl.lit("rejected_policy")),
    )
    events.sink_parquet(out, compression="zstd", compression_level=1)
    return {"events": out}
