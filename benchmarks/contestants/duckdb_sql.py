r"""DuckDB's SQL, three ways. Its text must be UTF-8, so it drops the lines that are not.

Line numbers in file order are the difficulty: `row_number() over ()` holds everything to one core.
So lines go to a temporary table first, whose row ids are their numbers, and which is then read on
all cores; that is the fastest of the ways tried.
"""

from contextlib import closing

import duckdb

_LINES = r"""
read_csv(
    $log, columns = {'line': 'varchar'}, auto_detect = false, header = false, new_line = '\r\n',
    delim = '\x01', quote = '', escape = '', strict_mode = false,
    ignore_errors = true, store_rejects = true, rejects_limit = 0
)
"""
"""A row for each line that is UTF-8."""

_BY_PATTERN = r"""
with matched as (
    select
        line_no,
        line,
        regexp_extract(
            line,
            '(?s)^\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d)\], \(([^)]*)\), ([^\[]*)\[([^\]]*)\]'
            || '(?::([1-9]\d{0,4})( SSL)?(, Client accept now\.)$'
            || '|, (.*),<(B\d{10}|B\d[1-9a-c]\d{10}|0{12}|)>,(ok|abort|connection timeout)$)',
            [
                'stamp', 'server', 'peer', 'client',
                'port', 'tls', 'accept', 'subject', 'id', 'status'
            ]
        ) as piece
    from lines
)

select
    line_no,
    line,
    piece.stamp as stamp,
    piece.server as server,
    piece.peer as peer,
    piece.client as client,
    piece.accept <> '' as is_accept,
    piece.port as port,
    piece.tls <> '' as tls,
    piece.subject as subject,
    piece.id as id,
    piece.status as status
from matched
"""

_BY_POSITION = r"""
with a as (
    select
        line_no,
        line,
        line[2:21] as stamp,
        line[1] = '[' and line[22:25] = '], (' as has_stamp,
        line[26:] as rest
    from lines
),

b as (
    select
        *,
        strpos(rest, '), ') as paren,
        strpos(rest, '[') as opening,
        strpos(rest, ']') as closing
    from a
),

c as (
    select
        line_no,
        line,
        stamp,
        rest[:paren - 1] as server,
        rest[paren + 3:opening - 1] as peer,
        rest[opening + 1:closing - 1] as client,
        rest[closing + 1:] as tail,
        has_stamp and paren > 0 and opening >= paren + 3 and closing > opening as has_head
    from b
),

d as (
    select
        *,
        has_head and ends_with(tail, ', Client accept now.') and tail[1] = ':' as is_accept,
        case
            when not has_head or not starts_with(tail, ', ') then ''
            when ends_with(tail, '>,ok') then 'ok'
            when ends_with(tail, '>,abort') then 'abort'
            when ends_with(tail, '>,connection timeout') then 'connection timeout'
            else ''
        end as status
    from c
),

e as (
    select *, tail[:-3 - length(status)] as head, tail[2:-21] as port_and_tls
    from d
),

f as (
    select
        *,
        case
            when status = '' then ''
            when head[-13:-12] = ',<' then head[-11:]
            when ends_with(head, ',<') then ''
            when head[-14:-13] = ',<' then head[-12:]
            when head[-15:-14] = ',<' then head[-13:]
        end as id
    from e
)

select
    line_no,
    line,
    stamp,
    server,
    peer,
    client,
    is_accept,
    replace(port_and_tls, ' SSL', '') as port,
    ends_with(port_and_tls, ' SSL') as tls,
    head[3:-3 - length(id)] as subject,
    id,
    case
        when regexp_full_match(id, 'B\d{10}|B\d[1-9a-c]\d{10}|0{12}|') then status else ''
    end as status
from f
"""

_EVENTS = r"""
with pieces as ({pieces}),

typed as (
    select
        *,
        try_strptime(nullif(stamp, ''), '%d/%b/%Y:%H:%M:%S') as ts,
        not contains(line, chr(0)) and regexp_full_match(
            client,
            '(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.|$)){{4}}'
            || '|[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*(?:%.+)?'
        ) as is_clean,
        contains(line, chr(13)) as has_return,
        id in ('B0000000000', '000000000000', '') as no_id,
        case
            when status <> '' and starts_with(subject, 'AUTH-') then regexp_extract(
                subject,
                '(?s)^AUTH-(PLAIN|LOGIN|CRAM-MD5|XAOUTH2|unknown):(.*) \[(success|failed)\]$',
                ['mechanism', 'user', 'outcome']
            )
        end as auth
    from pieces
),

judged as (
    select
        *,
        auth is not null and auth.outcome <> '' as is_auth,
        ts is not null and is_clean and is_accept and peer = '' and not has_return
        and case
            when regexp_full_match(port, '[1-9]\d{{0,4}}') then cast(port as integer) < 65536
        end as accepts,
        ts is not null and is_clean and status <> '' and (is_auth or not has_return) as judges,
        judges and status = 'abort' and no_id
        and subject in ('It was in the ORDB IP.', '"Revers DNS" was failed.') as at_once,
        starts_with(line, ' <') and not contains(line, chr(0)) and regexp_full_match(
            line, '(?s) <(?:B\d{{10}}|B\d[1-9a-c]\d{{10}}|0{{12}}|)>, \[.*\](?:, .*)?'
        ) as debugs
    from typed
)

select
    {line_no}
    case
        when accepts then 'accept'
        when judges then 'verdict'
        when trim(line, E' \t\r\n\v\f') = '' then 'blank'
        when debugs then 'debug'
        else 'malformed'
    end as kind,
    case when accepts or judges then ts end as ts,
    case when accepts or judges then server end as server_name,
    case when accepts or judges then client end as client_ip,
    case when accepts then cast(port as integer) end as port,
    case when accepts then tls end as tls,
    case when judges then regexp_replace(peer, ' $', '') end as peer_name,
    case when judges and not is_auth and not at_once then subject end as sender,
    case when is_auth and judges then auth.mechanism end as auth_mechanism,
    case when is_auth and judges then auth.user end as auth_user,
    case when is_auth and judges then auth.outcome = 'success' end as auth_success,
    case
        when judges and not no_id then id
        when debugs then nullif(
            nullif(nullif(regexp_extract(line, '<(.*?)>', 1), 'B0000000000'), '000000000000'), ''
        )
    end as message_id,
    case when judges then status end as status,
    case
        when not judges then null
        when status = 'ok' then 'accepted'
        when status <> 'abort' then 'timeout'
        when not no_id then 'rejected_content'
        when at_once and subject[1] = 'I' then 'rejected_dnsbl'
        when at_once then 'rejected_reverse_dns'
        when is_auth and auth.outcome = 'failed' then 'rejected_auth'
        else 'rejected_policy'
    end as verdict
from judged
"""


def by_pattern(log: str, out: str) -> dict[str, object]:
    """One regular expression for both kinds of line."""
    return _parse(log, out, _BY_PATTERN)


def by_position(log: str, out: str) -> dict[str, object]:
    """Positions and slices."""
    return _parse(log, out, _BY_POSITION)


def unordered(log: str, out: str) -> dict[str, object]:
    """Positions and slices, in any order and without line numbers."""
    with closing(duckdb.connect()) as connection:
        connection.execute("set preserve_insertion_order = false")
        lines = f"(select coalesce(line, '') as line, 0 as line_no from {_LINES})"
        events = _EVENTS.format(
            pieces=_BY_POSITION.replace("from lines", f"from {lines}"), line_no=""
        )
        _copy(connection, events, out, {"log": log})
    return {"events": out, "dropped": None}


def _parse(log: str, out: str, pieces: str) -> dict[str, object]:
    with closing(duckdb.connect()) as connection:
        connection.execute(f"create temp table numbered as from {_LINES}", {"log": log})
        lines = "(select rowid + 1 as line_no, coalesce(line, '') as line from numbered)"
        events = _EVENTS.format(
            pieces=pieces.replace("from lines", f"from {lines}"), line_no="line_no,"
        )
        _copy(connection, events, out, {})
        rejects = connection.execute("select distinct line from reject_errors").fetchall()
    return {"events": out, "dropped": [line for (line,) in rejects]}


def _copy(
    connection: duckdb.DuckDBPyConnection, events: str, out: str, parameters: dict[str, str]
) -> None:
    connection.execute(
        f"copy ({events}) to '{out}' (format parquet, compression zstd, compression_level 1)",
        parameters,
    )
