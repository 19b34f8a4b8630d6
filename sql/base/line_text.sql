-- grain: value
-- One line as text that is safe to show. Where the lake keeps the line's bytes these are shown,
-- else it is put together from its columns; then control characters are shown as `�`, and of the
-- ways to write "no id" always B0000000000. `acceptlake export-log` gives the exact file.
--
-- takes event: A row of events: `select line_text(events) from events`.
create or replace macro line_text(event) as
    case
        when (event).raw is not null then printable((event).raw)
        when (event).kind = 'blank' then ''
        else regexp_replace(
            strftime((event).ts, '[%d/%b/%Y:%H:%M:%S], (') || (event).server_name || '), '
            || case
                when (event).kind = 'accept'
                    then '[' || (event).client_ip || ']:' || (event).port
                        || case when (event).tls then ' SSL' else '' end
                        || ', Client accept now.'
                -- The BSD edition writes a name and a space; Windows repeats the address.
                else (event).peer_name
                    || case
                        when (event).peer_name in ('', (event).client_ip) then '' else ' '
                    end
                    || '[' || (event).client_ip || '], '
                    || case
                        when (event).auth_mechanism is not null
                            then 'AUTH-' || (event).auth_mechanism || ':' || (event).auth_user
                                || case
                                    when (event).auth_success then ' [success]' else ' [failed]'
                                end
                        when (event).sender is not null then (event).sender
                        when (event).verdict = 'rejected_dnsbl' then 'It was in the ORDB IP.'
                        else '"Revers DNS" was failed.'
                    end
                    || ',<' || coalesce((event).message_id, 'B0000000000') || '>,'
                    || (event).status
            end,
            '[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]',
            '�',
            'g'
        )
    end;
