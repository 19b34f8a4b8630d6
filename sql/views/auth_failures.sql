-- grain: client_ip, auth_user, date
-- Failed logins. Of several tries in one session the log has only the last.
--
-- client_ip: Address of the SMTP client.
-- auth_user: User name it gave; may be ''.
-- date: Day in the name of the log file.
-- failures: AUTH that failed; no row without any.
-- successes: AUTH of the same address, user and day that succeeded. From 4.AN on every message of
--   a session repeats its AUTH.
-- mechanisms: The different AUTH mechanisms tried, comma-separated.
create or replace view auth_failures as
with final as (
    select
        client_ip,
        auth_user,
        date,
        count(*) filter (where not auth_success) as failures,
        count(*) filter (where auth_success) as successes,
        string_agg(distinct auth_mechanism, ', ' order by auth_mechanism) as mechanisms
    from verdicts
    where auth_user is not null
    group by client_ip, auth_user, date
    having count(*) filter (where not auth_success) > 0
)

select * from final order by date, failures desc, client_ip, auth_user;
