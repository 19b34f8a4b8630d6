-- grain: value
-- Whether the checks of single days look at this one: at all, unless the variable `checked_dates`
-- has a list. A night sets it to the days that it touched, so it need not read the whole lake.
--
-- takes day: DATE.
create or replace macro is_checked(day) as
    coalesce(list_contains(cast(getvariable('checked_dates') as date[]), day), true);
