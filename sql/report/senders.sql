-- grain: sender
-- Who was rejected most in the last thirty days.
--
-- sender: Envelope sender; '' = null reverse-path and, from 4.AN on, clients that never said MAIL.
-- rejected: Verdicts of any rejected_… class.
-- accepted: Verdicts accepted.
-- rejection_rate: rejected / all verdicts of the sender.
-- client_ips: Different addresses it came from.
-- last_seen: Latest stamp of any of its verdicts, server-local. Null = none on its day.
select sender, rejected, accepted, rejection_rate, client_ips, last_seen
from top_rejected_senders_between($from_date, $to_date, 15);
