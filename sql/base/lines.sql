-- grain: host, date, line_no
-- Every line of every log file as text that is safe to show; see line_text.
--
-- host: Computer whose log it is.
-- date: Day in the name of the log file.
-- line_no: Number of the line in its file, from 1.
-- kind: accept, verdict, debug, malformed or blank.
-- ts: Time in the line, server-local. Null where it shows none.
-- client_ip: Address of the client in the line. Null where it shows none.
-- message_id: The server's own id of the message. Null = none.
-- line: The line.
create or replace view lines as
with final as (
    select host, date, line_no, kind, ts, client_ip, message_id, line_text(events) as line
    from events
)

select * from final;
