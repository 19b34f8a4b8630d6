-- grain: value
-- The /64 network of an IPv6 address in its shortest spelling. Takes lower case, no zone, no
-- dotted tail; client_network sees to that.
--
-- takes ip: IPv6 address.
create or replace macro ipv6_network(ip) as
    -- 1. Write :: out as the zero groups it stands for: eight less those that are spelled.
    -- 2. Keep four groups.  3. Drop their leading zeros.  4. Let :: stand for all that follows.
    substr(
        regexp_replace(
            regexp_replace(
                ':' || regexp_extract(
                    case
                        when contains(ip, '::') then ltrim(
                            split_part(ip, '::', 1)
                            || ':'
                            || repeat(
                                '0:',
                                8
                                - (length(ip) - length(replace(ip, ':', '')))
                                + case when starts_with(ip, '::') then 1 else 0 end
                                + case when ends_with(ip, '::') then 1 else 0 end
                            )
                            || split_part(ip, '::', 2),
                            ':'
                        )
                        else ip
                    end,
                    '^[^:]*:[^:]*:[^:]*:[^:]*'
                ),
                ':0+([0-9a-f])',
                ':\1',
                'g'
            ),
            '(:0)+$',
            ''
        ),
        2
    ) || '::/64';
