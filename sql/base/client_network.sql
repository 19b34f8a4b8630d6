-- grain: value
-- The network of an address: the /24 of IPv4, also behind IPv4-mapped IPv6; the /64 of IPv6.
-- Null of null.
--
-- takes ip: IPv4 or IPv6 address as logged; a zone (`%eth0`) is ignored.
create or replace macro client_network(ip) as
    case
        when regexp_matches(lower(ip), '^(::ffff:)?[0-9.]+(%.*)?$') then regexp_replace(
            lower(ip),
            '^(?:::ffff:)?([0-9]+\.[0-9]+\.[0-9]+)\.[0-9]+(?:%.*)?$',
            '\1.0/24'
        )
        else ipv6_network(
            regexp_replace(
                regexp_replace(lower(ip), '%.*$', ''),
                ':[0-9]+\.[0-9.]+$',
                ':0:0'
            )
        )
    end;
