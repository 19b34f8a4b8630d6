-- grain: host, date
-- The log files in the lake: the ledger, which is kept in the footers of the event files.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
-- source: Path of the log file, as the ingesting machine saw it.
-- source_bytes: Size of that file on disk, perhaps compressed.
-- source_modified_at: Its modification time.
-- bytes: Size of the log itself.
-- sha256: SHA-256 of the log itself, hexadecimal.
-- lines: Lines of the log: accepts + verdicts + debug + blank + malformed.
-- accepts: Accept lines.
-- verdicts: Verdict lines.
-- debug: Debug lines.
-- blank: Blank lines.
-- malformed: Lines that could not be read.
-- is_torn: Whether the last line has no line end.
-- zone: Time zone of the host, by which ts_utc was computed.
-- first_at: Earliest stamp of the log, server-local, of those at most a day off its date.
--   Null = none.
-- last_at: Latest such stamp. Null = none.
-- parser_version: Version of the parser that read it.
-- ingested_at: When it was ingested.
create or replace view ingested_files as
with facts as (
    select
        max(value) filter (where key = 'host') as host,
        max(value) filter (where key = 'date') as date,
        max(value) filter (where key = 'source') as source,
        max(value) filter (where key = 'source_bytes') as source_bytes,
        max(value) filter (where key = 'source_mtime_ns') as source_mtime_ns,
        max(value) filter (where key = 'bytes') as bytes,
        max(value) filter (where key = 'sha256') as sha256,
        max(value) filter (where key = 'lines') as lines,
        max(value) filter (where key = 'accepts') as accepts,
        max(value) filter (where key = 'verdicts') as verdicts,
        max(value) filter (where key = 'debug') as debug,
        max(value) filter (where key = 'blank') as blank,
        max(value) filter (where key = 'malformed') as malformed,
        max(value) filter (where key = 'is_torn') as is_torn,
        max(value) filter (where key = 'zone') as zone,
        max(value) filter (where key = 'span_from') as span_from,
        max(value) filter (where key = 'span_to') as span_to,
        max(value) filter (where key = 'parser_version') as parser_version,
        max(value) filter (where key = 'ingested_at') as ingested_at
    from footers
    group by file
),

final as (
    select
        host,
        cast(date as date) as date,
        source,
        cast(source_bytes as bigint) as source_bytes,
        to_timestamp(cast(source_mtime_ns as bigint) // 1000 / 1e6) as source_modified_at,
        cast(bytes as bigint) as bytes,
        sha256,
        cast(lines as bigint) as lines,
        cast(accepts as bigint) as accepts,
        cast(verdicts as bigint) as verdicts,
        cast(debug as bigint) as debug,
        cast(blank as bigint) as blank,
        cast(malformed as bigint) as malformed,
        cast(is_torn as boolean) as is_torn,
        zone,
        make_timestamp(cast(nullif(span_from, '') as bigint) * 1000000) as first_at,
        make_timestamp(cast(nullif(span_to, '') as bigint) * 1000000) as last_at,
        cast(parser_version as bigint) as parser_version,
        cast(ingested_at as timestamptz) as ingested_at
    from facts
)

select * from final order by host, date;
