-- severity: warn
-- Files read by an older parser than others: their rows may differ where the parser was improved.
-- `acceptlake ingest --force` reads them again.
with newest as (
    select max(parser_version) as newest_version
    from ingested_files
),

final as (
    select host, date, parser_version, newest_version
    from ingested_files
    cross join newest
    where parser_version < newest_version
)

select * from final order by host, date;
