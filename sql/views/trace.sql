-- grain: host, date, line_no
-- What happened to this message or client that day: the connections, all their verdicts and the
-- lines, in order of time. `from trace('B0000097586', '2026-06-03')`.
--
-- takes wanted: Message id, also as `<ID@HOST>` (HOST is ignored); address of a client, as logged;
--   or envelope sender or AUTH user, with or without angle brackets, in any case. Lines that could
--   not be read are found if they contain it.
-- takes on_date: Day of the connection, of the verdict's stamp or of its log file.
-- ts: Time in the line, server-local: the connect, or MAIL FROM or the last AUTH result. Of a debug
--   line, which has none, that of its message's verdict. Null = none.
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
-- line_no: Number of the line in its file, from 1.
-- kind: accept, verdict, debug or malformed.
-- client_ip: Address of the SMTP client. Null = the line has none.
-- connection_id: The connection of the line, as far as pairing knows. Null = none.
-- message_id: The server's own id of the message. Null = none.
-- sender: Envelope sender; '' = null reverse-path. Null = the line has none.
-- auth_user: User name given in AUTH. Null = none.
-- verdict: Verdict of the line. Null = it is none.
-- latency_s: Seconds from the connect to ts. Null = not a verdict, or an orphan.
-- pairing: How the verdict was paired with its connection. Null = not a verdict, or an orphan.
-- line: The line as text that is safe to show.
create or replace macro trace(wanted, on_date) as table
with named as (
    -- One question at a time: then each can skip the row groups that do not hold its answer.
    select host, date, line_no, ts, connection_id, message_id
    from verdicts
    where
        date between cast(on_date as date) - 1 and cast(on_date as date) + 1
        and message_id = regexp_extract(wanted, '^<?([B0-9a-f]+)(@.*)?>?$', 1)
    union all
    select host, date, line_no, ts, connection_id, message_id
    from verdicts
    where
        date between cast(on_date as date) - 1 and cast(on_date as date) + 1
        and client_ip = wanted
    union all
    select host, date, line_no, ts, connection_id, message_id
    from verdicts
    where
        date between cast(on_date as date) - 1 and cast(on_date as date) + 1
        and sender_domain = regexp_replace(
            regexp_extract(lower(trim(wanted, '<>')), '@([^@]*)$', 1), '\.$', ''
        )
        and lower(sender) = lower(trim(wanted, '<>'))
    union all
    select host, date, line_no, ts, connection_id, message_id
    from verdicts
    where
        date between cast(on_date as date) - 1 and cast(on_date as date) + 1
        and sender_domain is null
        and lower(trim(wanted, '<>')) in (lower(sender), lower(auth_user))
),

named_that_day as (
    select *
    from named
    where cast(on_date as date) in (date, cast(ts as date))
),

wanted_connections as (
    select connection_id
    from named_that_day
    where connection_id is not null
    union
    select connection_id
    from connections
    where date = cast(on_date as date) and client_ip = wanted
),

found as (
    select
        host,
        date,
        line_no,
        connected_at as ts,
        connection_id,
        null as message_id,
        null as latency_s,
        null as pairing
    from connections
    semi join wanted_connections using (connection_id)
    where date between cast(on_date as date) - 1 and cast(on_date as date) + 1
    union all
    select host, date, line_no, ts, connection_id, message_id, latency_s, pairing
    from verdicts
    semi join wanted_connections using (connection_id)
    where date between cast(on_date as date) - 1 and cast(on_date as date) + 1
    union all
    select distinct
        host,
        date,
        line_no,
        ts,
        null as connection_id,
        message_id,
        null as latency_s,
        null as pairing
    from named_that_day
    where connection_id is null
),

messages as (
    select host, message_id, min(ts) as ts, min(connection_id) as connection_id
    from found
    where message_id is not null
    group by host, message_id
),

-- As a join, DuckDB 2.0.0 would read the row groups of other messages, too.
debug_lines as (
    select host, date, line_no, message_id
    from events
    semi join messages using (message_id)
    where
        date between cast(on_date as date) - 1 and cast(on_date as date) + 1
        and kind = 'debug'
),

mentioned as (
    select host, date, line_no, messages.ts, messages.connection_id
    from debug_lines
    join messages using (host, message_id)
    union all
    select host, date, line_no, null as ts, null as connection_id
    from events
    where
        date = cast(on_date as date)
        and parse_error is not null
        and trim(wanted, '<>') <> ''
        and contains(lower(printable(raw)), lower(trim(wanted, '<>')))
),

chosen as (
    select host, date, line_no, ts, connection_id, latency_s, pairing
    from found
    union all
    select host, date, line_no, ts, connection_id, null as latency_s, null as pairing
    from mentioned
),

chosen_events as (
    select *
    from events
    semi join chosen using (host, date, line_no)
    where date between cast(on_date as date) - 1 and cast(on_date as date) + 1
),

final as (
    select
        chosen.ts,
        events.host,
        events.date,
        events.line_no,
        events.kind,
        events.client_ip,
        chosen.connection_id,
        events.message_id,
        events.sender,
        events.auth_user,
        events.verdict,
        chosen.latency_s,
        chosen.pairing,
        line_text(events) as line
    from chosen_events as events
    join chosen
        on chosen.host = events.host
        and chosen.date = events.date
        and chosen.line_no = events.line_no
)

select * from final order by ts, host, date, line_no;
