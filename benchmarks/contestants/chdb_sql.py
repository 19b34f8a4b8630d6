r"""chDB (ClickHouse in process), two ways; its strings hold any bytes, and it knows CP932."""

from pathlib import Path

import chdb

_ID = "B[0-9]{10}|B[0-9][1-9a-c][0-9]{10}|0{12}|"

_BY_PATTERN = rf"""
select
    line_no,
    line,
    piece[1] as stamp,
    piece[2] as server,
    piece[3] as peer,
    piece[4] as client,
    piece[5] as port_text,
    piece[6] != '' as is_tls,
    piece[7] != '' as is_accept,
    piece[8] as subject,
    piece[9] as id,
    piece[10] as status_text
from (
    select
        line_no,
        line,
        extractGroups(
            line,
            '(?s)^\\[(\\d\\d/[A-Z][a-z][a-z]/\\d{{4}}:\\d\\d:\\d\\d:\\d\\d)\\], \\(([^)]*)\\), '
            || '([^\\[]*)\\[([^\\]]*)\\](?::([1-9][0-9]{{0,4}})( SSL)?(, Client accept now\\.)'
            || '|, (\\C*),<({_ID})>,(ok|abort|connection timeout))$'
        ) as piece
    from lines
)
"""

_BY_POSITION = rf"""
with a as (
    select line_no, line, position(line, '), ', 26) as paren from lines
),

b as (
    select *, position(line, '[', toUInt64(paren + 3)) as opening from a
),

c as (
    select *, position(line, ']', toUInt64(opening + 1)) as closing from b
),

d as (
    select
        line_no,
        line,
        substring(line, 2, 20) as stamp,
        substring(line, 26, paren - 26) as server,
        substring(line, paren + 3, opening - paren - 3) as peer,
        substring(line, opening + 1, closing - opening - 1) as client,
        if(
            startsWith(line, '[') and substring(line, 22, 4) = '], ('
            and paren > 0 and opening > 0 and closing > 0 and position(line, ')', 26) = paren,
            substring(line, closing + 1),
            ''
        ) as tail
    from c
),

e as (
    select
        *,
        startsWith(tail, ':') and endsWith(tail, ', Client accept now.') as is_accept,
        if(is_accept, substring(tail, 2, length(tail) - 21), '') as port_and_tls,
        multiIf(
            not startsWith(tail, ', '), '',
            endsWith(tail, '>,ok'), 'ok',
            endsWith(tail, '>,abort'), 'abort',
            endsWith(tail, '>,connection timeout'), 'connection timeout',
            ''
        ) as ending
    from d
),

f as (
    select
        *,
        endsWith(port_and_tls, ' SSL') as is_tls,
        if(ending = '', '', substring(tail, 1, length(tail) - length(ending) - 2)) as head
    from e
),

g as (
    select
        *,
        multiIf(
            substring(head, -13, 2) = ',<', substring(head, -11),
            endsWith(head, ',<'), '',
            substring(head, -14, 2) = ',<', substring(head, -12),
            substring(head, -15, 2) = ',<', substring(head, -13),
            '?'
        ) as id
    from f
)

select
    line_no,
    line,
    stamp,
    server,
    peer,
    client,
    if(is_tls, substring(port_and_tls, 1, length(port_and_tls) - 4), port_and_tls) as port_text,
    is_tls,
    is_accept,
    substring(head, 3, length(head) - length(id) - 4) as subject,
    id,
    if(ending != '' and match(id, '^({_ID})$'), ending, '') as status_text
from g
"""

_EVENTS = r"""
with lines as (
    select
        _row_number + 1 as line_no,
        if(endsWith(line, '\r'), substring(line, 1, length(line) - 1), line) as line
    from file('{log}', 'LineAsString', 'line String')
),

pieces as ({pieces}),

typed as (
    select
        *,
        parseDateTimeOrNull(stamp, '%d/%b/%Y:%H:%i:%s', 'UTC') as local,
        position(line, '\0') = 0 as has_no_nul,
        position(line, '\r') > 0 as has_return,
        isIPv4String(client) or isIPv6String(splitByChar('%', client)[1]) as has_address,
        id in ('B0000000000', '000000000000', '') as no_id,
        if(
            status_text != '' and startsWith(subject, 'AUTH-'),
            extractGroups(
                subject,
                '(?s)^AUTH-(PLAIN|LOGIN|CRAM-MD5|XAOUTH2|unknown):(\\C*) \\[(success|failed)\\]$'
            ),
            []
        ) as auth
    from pieces
),

headed as (
    select *, isNotNull(local) and has_no_nul and has_address as has_head, notEmpty(auth) as is_auth
    from typed
),

read as (
    select
        *,
        has_head and is_accept and peer = '' and not has_return
        and match(port_text, '^[1-9][0-9]{{0,4}}$')
        and toUInt32OrZero(port_text) < 65536 as accepts,
        has_head and status_text != '' and (is_auth or not has_return) as judges,
        startsWith(line, ' <') and has_no_nul
        and match(line, '(?s)^ <({debug_id})>, \\[\\C*\\](, \\C*)?$') as debugs
    from headed
),

judged as (
    select
        *,
        judges and status_text = 'abort' and no_id
        and subject in ('It was in the ORDB IP.', '"Revers DNS" was failed.') as at_once,
        if(debugs, extract(line, '<(.*?)>'), '') as debug_id
    from read
)

select
    toInt64(line_no) as line_no,
    multiIf(
        accepts, 'accept',
        judges, 'verdict',
        match(line, '^[ \\t\\r\\n\\v\\f]*$'), 'blank',
        debugs, 'debug',
        'malformed'
    ) as kind,
    if(accepts or judges, toDateTime64(local, 6, 'UTC'), null) as ts,
    if(accepts or judges, {server}, null) as server_name,
    if(accepts or judges, client, null) as client_ip,
    if(accepts, toInt32OrNull(port_text), null) as port,
    if(accepts, is_tls = 1, null)::Nullable(Bool) as tls,
    if(judges, {peer}, null) as peer_name,
    if(judges and not is_auth and not at_once, {subject}, null) as sender,
    if(judges and is_auth, auth[1], null) as auth_mechanism,
    if(judges and is_auth, {user}, null) as auth_user,
    if(judges and is_auth, auth[3] = 'success', null)::Nullable(Bool) as auth_success,
    multiIf(
        judges and not no_id, id,
        debugs and not accepts and not judges
        and debug_id not in ('B0000000000', '000000000000', ''), debug_id,
        null
    ) as message_id,
    if(judges, status_text, null) as status,
    multiIf(
        not judges, null,
        status_text = 'ok', 'accepted',
        status_text != 'abort', 'timeout',
        not no_id, 'rejected_content',
        at_once and startsWith(subject, 'It'), 'rejected_dnsbl',
        at_once, 'rejected_reverse_dns',
        is_auth and auth[3] = 'failed', 'rejected_auth',
        'rejected_policy'
    ) as verdict
from judged
"""


def by_pattern(log: str, out: str) -> dict[str, str]:
    """One regular expression for both kinds of line."""
    return _parse(log, out, _BY_PATTERN)


def by_position(log: str, out: str) -> dict[str, str]:
    """Positions and substrings."""
    return _parse(log, out, _BY_POSITION)


def _text(bytes_: str) -> str:
    return f"if(isValidUTF8({bytes_}), {bytes_}, convertCharset({bytes_}, 'cp932', 'utf-8'))"


def _parse(log: str, out: str, pieces: str) -> dict[str, str]:
    Path(out).unlink(missing_ok=True)
    events = _EVENTS.format(
        log=log,
        pieces=pieces,
        debug_id=_ID,
        server=_text("server"),
        peer=_text("if(endsWith(peer, ' '), substring(peer, 1, length(peer) - 1), peer)"),
        subject=_text("subject"),
        user=_text("auth[2]"),
    )
    chdb.query(
        f"insert into function file('{out}', 'Parquet') {events}"
        " settings output_format_parquet_compression_method = 'zstd',"
        " output_format_compression_level = 1, output_format_parquet_string_as_string = 1,"
        # Else every use of a name is its whole expression anew: minutes, and all the memory.
        " query_plan_merge_expressions = 0"
    )
    return {"events": out}
