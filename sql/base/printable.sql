-- grain: value
-- Bytes as text that is safe to show: printable ASCII as it is, all else (ESC, line ends, NUL, any
-- 8-bit byte, the backslash itself) as `\xNN`.
--
-- takes bytes: BLOB.
create or replace macro printable(bytes) as
    -- The cast also escapes the two quotes, which harm nobody.
    replace(replace(cast(bytes as varchar), '\x22', '"'), '\x27', '''');
