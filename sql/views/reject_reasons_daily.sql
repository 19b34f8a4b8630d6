-- grain: host, date, verdict
-- Why verdicts were rejections, as far as acceptlog tells. These are the vendor's classes: the log
-- does not say whether a policy refusal was an unknown recipient, SMTP AUTH or effect.dat, and a
-- client that hangs up looks like a refusal. Only receivelog has the exact reason.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
-- verdict: rejected_dnsbl (B-3), rejected_reverse_dns, rejected_auth, rejected_policy (B-1: no id
--   was assigned) or rejected_content (B-2: an id was).
-- verdicts: Verdicts of this class; no row without any.
-- share: verdicts / all rejected verdicts of that host and day.
create or replace view reject_reasons_daily as
select
    cast(host as varchar) as host,
    cast(date as date) as date,
    cast(verdict as varchar) as verdict,
    cast(verdicts as bigint) as verdicts,
    cast(share as double) as share
from $reject_reasons_daily
order by host, date, verdict;
