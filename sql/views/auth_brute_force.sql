-- grain: client_ip
-- Addresses that guess passwords: at some time ten or more logins failed within 24 hours. The ones
-- to look at first have a success after so many. Of several tries in one session the log has only
-- the last, so there were more. An office behind one address can be here, too.
--
-- client_ip: Address of the SMTP client.
-- failures: AUTH that failed, over the whole lake.
-- most_failures_a_day: The most of them within 24 hours, on any host.
-- users_tried: Different user names that failed.
-- successes: AUTH that succeeded. From 4.AN on every message of a session repeats its AUTH.
-- successes_after_failures: Of the successes, those with ten or more failures of the same address
--   in the 24 hours before them.
-- users_entered: The different user names of these, comma-separated. Null = none.
-- days: Different days with a failure, by the name of the log file.
-- first_failure_at: Stamp of the first failure, server-local.
-- last_failure_at: Stamp of the last failure, server-local.
create or replace view auth_brute_force as
with busy_days as (
    -- Ten failures within 24 hours are at least five on one of two days.
    select client_ip, cast(ts as date) as day
    from verdicts
    where not auth_success
    group by client_ip, day
    having count(*) >= 5
),

near_days as (
    select distinct client_ip, day + cast(step as integer) as day
    from busy_days
    cross join range(-1, 2) as steps (step)
),

logins as (
    select verdicts.client_ip, ts, auth_user, auth_success
    from verdicts
    semi join near_days
        on near_days.client_ip = verdicts.client_ip
        and near_days.day = cast(verdicts.ts as date)
    where auth_success is not null
),

in_time as (
    select
        *,
        count(*) filter (where not auth_success) over (
            partition by client_ip
            order by ts
            range between interval 24 hours preceding and current row
        ) as recent_failures
    from logins
),

guessers as (
    select
        client_ip,
        max(recent_failures) as most_failures_a_day,
        count(*) filter (
            where auth_success and recent_failures >= 10
        ) as successes_after_failures,
        string_agg(distinct auth_user, ', ' order by auth_user) filter (
            where auth_success and recent_failures >= 10
        ) as users_entered
    from in_time
    group by client_ip
    having max(recent_failures) >= 10
),

totals as (
    select
        client_ip,
        count(*) filter (where not auth_success) as failures,
        count(distinct auth_user) filter (where not auth_success) as users_tried,
        count(*) filter (where auth_success) as successes,
        count(distinct date) filter (where not auth_success) as days,
        min(ts) filter (where not auth_success) as first_failure_at,
        max(ts) filter (where not auth_success) as last_failure_at
    from verdicts
    where auth_success is not null
    group by client_ip
),

final as (
    select
        client_ip,
        failures,
        most_failures_a_day,
        users_tried,
        successes,
        successes_after_failures,
        users_entered,
        days,
        first_failure_at,
        last_failure_at
    from guessers
    join totals using (client_ip)
)

select * from final order by successes_after_failures desc, failures desc, client_ip;
