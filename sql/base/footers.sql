-- grain: file, key
-- What the footers of the event files say: the ledger of the lake, a row per fact.
--
-- file: Path of the event file.
-- key: Name of the fact, without the prefix `acceptlake.`.
-- value: The fact, as text.
create or replace view footers as
with entries as (
    select
        cast(file_name as varchar) as file,
        cast(key as blob) as key,
        cast(value as blob) as value
    from $events_footers
),

final as (
    select file, substr(decode(key), 12) as key, decode(value) as value
    from entries
    where starts_with(decode(key), 'acceptlake.')
)

select * from final;
