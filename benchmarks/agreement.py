"""Whether two Parquet files hold the same events, and if not, in which ways they differ."""

from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass

import duckdb

from benchmarks.contestants.columns import COLUMNS

_TEXTS = ("server_name", "client_ip", "peer_name", "sender", "auth_user")
_VALUES = tuple(name for name in COLUMNS.names if name not in ("line_no", "kind", *_TEXTS))


@dataclass(frozen=True, slots=True)
class Agreement:
    """Lines by how a contestant's reading of them differs from ours; all 0 = the same rows."""

    lines: int
    """Lines that we have."""
    missing: int
    """It has no row for the line, or a row for no line; without numbers: no such row."""
    given_up: int
    """It calls malformed what we can read."""
    other_kind: int
    """It makes of the line another kind of event."""
    other_values: int
    """The same kind, with another time, port, id, status, verdict or the like, or a null."""
    other_text: int
    """All that agrees, but not the spelling of a text, as of one that is not UTF-8."""

    @property
    def differing(self) -> int:
        """Lines that are read in another way."""
        return self.missing + self.given_up + self.other_kind + self.other_values + self.other_text

    def __str__(self) -> str:
        ways = {
            "no such row": self.missing,
            "given up as malformed": self.given_up,
            "another kind": self.other_kind,
            "other values": self.other_values,
            "other spelling of a text": self.other_text,
        }
        found = [f"{count:,} {way}" for way, count in ways.items() if count]
        return f"of {self.lines:,} lines: {', '.join(found)}" if found else "the same rows"


def compare(ours: str, theirs: str, dropped: Collection[int] | None = ()) -> Agreement:
    """Compare line by line, in every column.

    Args:
        ours: the lake's `events.parquet`.
        theirs: a file with `COLUMNS`.
        dropped: numbers of the lines that it could not read at all; it has numbered the others as
            if these were not there. None = it has no numbers, so only what is the same in all
            else can be found, in whatever order.
    """
    sql = _AS_BAGS if dropped is None else _BY_LINE
    with closing(duckdb.connect()) as connection:
        connection.execute("create table dropped (line_no bigint)")
        if dropped:
            connection.executemany("insert into dropped values (?)", [[line] for line in dropped])
        row = connection.execute(sql, {"ours": ours, "theirs": theirs}).fetchone()
    if row is None:
        raise RuntimeError("a query that counts gave no row")
    return Agreement(*row)


def _differ(names: Collection[str]) -> str:
    return " or ".join(f"ours.{name} is distinct from theirs.{name}" for name in names)


_BY_LINE = f"""
with ours as (
    select * replace (row_number() over (order by line_no) as line_no)
    from read_parquet($ours)
    anti join dropped using (line_no)
),
theirs as (select * from read_parquet($theirs)),
judged as (
    select case
        when ours.line_no is null or theirs.line_no is null then 'missing'
        when ours.kind <> theirs.kind and theirs.kind = 'malformed' then 'given up'
        when ours.kind <> theirs.kind then 'kind'
        when {_differ(_VALUES)} then 'values'
        when {_differ(_TEXTS)} then 'text'
    end as difference
    from ours
    full join theirs using (line_no)
)
select
    (select count(*) from read_parquet($ours)),
    (select count(*) from dropped) + count(*) filter (where difference = 'missing'),
    count(*) filter (where difference = 'given up'),
    count(*) filter (where difference = 'kind'),
    count(*) filter (where difference = 'values'),
    count(*) filter (where difference = 'text')
from judged
"""

_ALL_BUT_NUMBER = ", ".join(name for name in COLUMNS.names if name != "line_no")

_AS_BAGS = f"""
with ours as (select {_ALL_BUT_NUMBER} from read_parquet($ours)),
theirs as (select {_ALL_BUT_NUMBER} from read_parquet($theirs)),
only_ours as (select * from ours except all select * from theirs),
only_theirs as (select * from theirs except all select * from ours)
select
    (select count(*) from ours),
    greatest((select count(*) from only_ours), (select count(*) from only_theirs)),
    0, 0, 0, 0
"""
