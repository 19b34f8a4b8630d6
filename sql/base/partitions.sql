-- grain: table_name, host, date
-- The files of the lake by their names alone; no file is opened for this.
--
-- table_name: events, verdicts, connections or hourly_counts.
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
create or replace view partitions as
with files as (
    select 'events' as table_name, file from glob($events_glob)
    union all
    select 'verdicts' as table_name, file from glob($verdicts_glob)
    union all
    select 'connections' as table_name, file from glob($connections_glob)
    union all
    select 'hourly_counts' as table_name, file from glob($hourly_counts_glob)
),

named as (
    -- Windows answers with backslashes.
    select
        table_name,
        regexp_extract(file, '[/\\]host=([^/\\]*)[/\\]date=[^/\\]*[/\\][^/\\]*$', 1) as host,
        regexp_extract(file, '[/\\]date=([^/\\]*)[/\\][^/\\]*$', 1) as date
    from files
),

final as (
    select table_name, url_decode(host) as host, cast(date as date) as date
    from named
)

select * from final;
