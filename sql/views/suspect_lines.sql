-- grain: host, date, line_no
-- Lines that look forged. A client chooses its AUTH user, line ends included, and the server
-- writes it as it is: one AUTH line becomes a head without a result, whole lines that never
-- happened, and the rest with the result. Or the forger completes head and rest, and only the
-- pairing gives him away: a verdict of an address that never connected. A server that crashes or
-- writes over its own lines leaves some of this, too, so this is suspicion, not proof.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
-- line_no: Number of the line in its file, from 1.
-- reason: `AUTH line without its result` (not the last line of its file); `AUTH result without its
--   line`; `inside a broken AUTH line` (between these two); `control character in the AUTH user`;
--   `address never connected` (within an hour of the verdict, though the log of then is here).
-- raw: The line as text that is safe to show.
-- context: The line, marked with `>`, with the two before and the two after it, numbered.
create or replace view suspect_lines as
with fragments as (
    select
        host,
        date,
        line_no,
        regexp_matches(printable(raw), '\], AUTH-[A-Za-z0-9-]+:') as is_head
    from events
    where
        parse_error is not null
        and (
            parse_error = 'no '',<ID>,STATUS'' at the end'
            and regexp_matches(printable(raw), '\], AUTH-[A-Za-z0-9-]+:')
            -- What has both is a whole line that is malformed otherwise.
            or not regexp_matches(printable(raw), '\], AUTH-[A-Za-z0-9-]+:')
            and regexp_matches(
                printable(raw),
                ' \[(success|failed)\],<[B0-9a-f]*>,(ok|abort|connection timeout)(\\x0D)?$'
            )
        )
),

in_order as (
    select
        *,
        lag(is_head) over in_file as follows_head,
        line_no - lag(line_no) over in_file as lines_since
    from fragments
    window in_file as (partition by host, date order by line_no)
),

-- A user of at most 511 bytes holds fewer lines than that.
broken as (
    select host, date, unnest(range(line_no - lines_since + 1, line_no)) as line_no
    from in_order
    where not is_head and follows_head and lines_since <= 512
),

logs as (
    select host, date
    from partitions
    where table_name = 'connections'
),

strangers as (
    select host, date, line_no, client_ip, ts
    from verdicts
    semi join logs
        on logs.host = verdicts.host
        and logs.date = cast(verdicts.ts - interval 1 hour as date)
    where connection_id is null
),

-- As an anti join this would lose rows in DuckDB 1.1.
never_connected as (
    select strangers.host, strangers.date, strangers.line_no
    from strangers
    left join connections
        on connections.host = strangers.host
        and connections.client_ip = strangers.client_ip
        and connections.connected_at >= strangers.ts - interval 1 hour
        and connections.connected_at <= strangers.ts + interval 1 hour
    group by strangers.host, strangers.date, strangers.line_no
    having count(connections.client_ip) = 0
),

suspects as (
    select
        host,
        date,
        line_no,
        case
            when is_head then 'AUTH line without its result'
            else 'AUTH result without its line'
        end as reason
    from fragments
    union all
    select host, date, line_no, 'inside a broken AUTH line' as reason
    from broken
    union all
    select host, date, line_no, 'control character in the AUTH user' as reason
    from verdicts
    where regexp_matches(auth_user, '\p{Cc}')
    union all
    select host, date, line_no, 'address never connected' as reason
    from never_connected
),

-- Of several reasons the one that comes first in the alphabet, which is the plainest.
once as (
    select host, date, line_no, min(reason) as reason
    from suspects
    group by host, date, line_no
),

neighbours as (
    select *, line_no + step as neighbour_no
    from once
    cross join range(-2, 3) as steps (step)
),

shown as (
    select
        neighbours.host,
        neighbours.date,
        neighbours.line_no,
        reason,
        step,
        neighbour_no,
        line_text(events) as line
    from neighbours
    join events
        on events.host = neighbours.host
        and events.date = neighbours.date
        and events.line_no = neighbours.neighbour_no
),

final as (
    select
        host,
        date,
        line_no,
        reason,
        max(line) filter (where step = 0) as raw,
        string_agg(
            case when step = 0 then '> ' else '  ' end || neighbour_no || ' ' || line,
            chr(10) order by step
        ) as context
    from shown
    group by host, date, line_no, reason
    -- A head at the end of a file is what a server that is stopped leaves.
    having reason <> 'AUTH line without its result' or max(step) > 0
)

select * from final order by host, date, line_no;
