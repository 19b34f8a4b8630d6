"""The SQL layer in a DuckDB connection, in LAKE/catalog.duckdb, and in docs/views.md.

The SQL is in the package `sql`, one statement a file, and says of itself what it is:

    -- grain: host, date                 (views, macros and summaries) or
    -- severity: warn                    (checks)
    -- What it answers, or why it matters.
    --
    -- takes address: A parameter of a macro.
    -- host: A column; its text goes
    --   on in lines that are indented.

From there the texts get into the catalog, as comments, and into the documentation. The columns of
the four tables are described by `transforms.schemas`.
"""

import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cache, partial
from graphlib import TopologicalSorter
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import TypeVar

import duckdb

from flows.errors import LakeError, printable
from flows.lake import CATALOG, SCHEMAS, SUMMARIES, Lake, TableName
from flows.reading import SCHEME, LakeFiles
from flows.store import ReplacedError

STORAGE_VERSION = "v1.0.0"
"""Of catalog.duckdb, so that BI drivers built on DuckDB 1.1 and later open it."""

SHOWN_ROWS = 20
"""So many offending rows of a check are kept."""

_BATCH_ROWS = 10_000
_TRIES = 10
_LOOK_S = 0.2
"""So often it is seen whether a query is over; on Windows, Ctrl-C comes in between."""
_ROOT = f"{SCHEME}:/"
"""Of the lake, for those who read through `LakeFiles`; a `/` and a path follow."""

Answer = TypeVar("Answer")

_STATEMENT = re.compile(
    r"create or replace (?P<kind>view|macro) (?P<name>\w+)(?P<as_table>.* as table$)?"
)
_ENTRY = re.compile(r"(?P<takes>takes )?(?P<name>\w+): (?P<text>.+)")
_SOURCE = re.compile(r"\$(\w+)")
_WORD = re.compile(r"\w+")
_PARTITION_FOLDER = re.compile(r"(?<=/)(?:host|date)=[^/]*", re.IGNORECASE)
_GLOB_SPECIAL = re.compile(r"[*?\[]")


class Kind(StrEnum):
    """What a definition is to those who query it."""

    VIEW = "view"
    TABLE_MACRO = "table macro"
    MACRO = "macro"


class Severity(StrEnum):
    """What an offending row means."""

    FAIL = "fail"
    """The lake is wrong."""
    WARN = "warn"
    """The logs are strange; someone should look."""


@dataclass(frozen=True, slots=True)
class Described:
    """A column or a parameter."""

    name: str
    comment: str


@dataclass(frozen=True, slots=True)
class Definition:
    """A view or macro."""

    name: str
    kind: Kind
    is_base: bool
    """Whether it shows the lake as it is rather than answer a question."""
    grain: str
    """What a row is; `value` of a macro that gives one."""
    description: str
    parameters: tuple[Described, ...]
    columns: tuple[Described, ...]
    sql: str
    """The statement, `$NAME` standing for what `_sources` puts there."""


@dataclass(frozen=True, slots=True)
class Summary:
    """How the rows of a view come from the rollup, for `flows.summaries` to keep."""

    name: str
    """The view's."""
    grain: tuple[str, ...]
    """The columns that tell rows apart, but for the host."""
    sql: str
    """A query of `hourly_counts` and `days`."""


@dataclass(frozen=True, slots=True)
class Check:
    """A query for rows that must not be."""

    name: str
    severity: Severity
    reason: str
    sql: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found."""

    name: str
    severity: Severity
    reason: str
    """Why the rows offend, and what to do."""
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    """The first `SHOWN_ROWS` offending rows."""
    count: int
    """All of them."""


class Reader:
    """A connection that has every view and macro over a lake, and asks again where need be.

    Args:
        connection: a new one.
        lake: any, also one in an object store.

    Raises:
        ReplacedError: files were replaced each time.
        OSError: a file cannot be read.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
        self.connection = connection
        self._files = LakeFiles(lake.store)
        connection.register_filesystem(self._files)
        # What one query read of a file may be gone at the next.
        connection.execute("set enable_external_file_cache = false")
        connection.execute("set enable_progress_bar = false")  # else it may go to stdout
        tables = _filled(lake)
        self.ask(lambda: define(connection, _ROOT, tables))

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """Run queries until no file of the lake is replaced meanwhile; mostly that is once.

        Args:
            question: what to do with the connection; all that it reads of a file is of one version.

        Raises:
            ReplacedError: files were replaced each time.
            OSError: a file cannot be read.
            duckdb.Error: the question is wrong, or a file is damaged.
        """
        for _ in range(_TRIES - 1):
            with suppress(ReplacedError):
                return self.once(question)
            self._files.renew()
        return self.once(question)

    def once(self, question: Callable[[], Answer]) -> Answer:
        """The same, without a second try; for what cannot be taken back."""
        try:
            return self._interruptibly(question)
        except duckdb.Error as error:
            if self._files.failure is None:
                raise
            raise self._files.failure from error

    def _interruptibly(self, question: Callable[[], Answer]) -> Answer:
        # While its own threads are at work DuckDB may wait for them, deaf to signals. So it waits
        # in another thread, and Ctrl-C comes here.
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(question)
            try:
                while not wait([asked], _LOOK_S).done:
                    pass
            except BaseException:
                while not asked.done():  # one statement of several may be over, the next not begun
                    self.connection.interrupt()
                    wait([asked], _LOOK_S)
                raise
            return asked.result()


@contextmanager
def reading(lake: Lake) -> Iterator[Reader]:
    """A context that yields a reader of a lake. Raises as `Reader` does."""
    with closing(duckdb.connect()) as connection:
        yield Reader(connection, lake)


def connect(lake: Lake) -> duckdb.DuckDBPyConnection:
    """A connection of its own that has every view and macro over a lake.

    Of each file it goes on seeing the version that it saw first; a query that needs one that is
    gone ends in an error.
    """
    return Reader(duckdb.connect(), lake).connection


def define(connection: duckdb.DuckDBPyConnection, root: str, tables: Collection[str]) -> None:
    """Create every view and macro, with comments, in a connection's current database.

    Args:
        connection: any; what it has under these names is replaced.
        root: absolute path or URI of the lake, with `/`, without a final one.
        tables: those, and the summaries, with at least one file. DuckDB cannot type a glob that
            matches nothing, so the others are empty, until their first file is there and this is
            done again.

    Raises:
        LakeError: no lake can be at that place.
    """
    for statement in _statements(root, tables):
        connection.execute(statement)


def refresh(lake: Lake) -> bool:
    """Bring LAKE/catalog.duckdb up to date.

    Returns:
        Whether it had to be replaced: tools that have it open keep what they had.

    Raises:
        LakeError: no lake can be at that place.
        OSError: writing failed.
    """
    tables = _filled(lake)
    fingerprint = sha256("\n".join(_statements(lake.store.root, tables)).encode()).hexdigest()
    if _fingerprint(lake) == fingerprint:
        return False
    with lake.store.scratch() as folder:
        made = folder / CATALOG
        _make(made, lake, tables, fingerprint)
        with lake.store.replace(CATALOG) as path:
            shutil.copyfile(made, path)
    return True


def check(
    lake: Lake, now: datetime | None = None, dates: Collection[date] | None = None
) -> list[CheckResult]:
    """Run every check, those that can fail first.

    Args:
        lake: where.
        now: with time zone; what is yesterday follows from it. None = this moment.
        dates: which days to look into; what is between days is checked for all. None = all.
    """
    with reading(lake) as reader:
        if now is not None:
            reader.connection.execute("set variable now = $now", {"now": now})
        if dates is not None:
            reader.connection.execute(
                "set variable checked_dates = cast($dates as date[])", {"dates": sorted(dates)}
            )
        return [reader.ask(partial(_run, reader.connection, each)) for each in checks()]


@cache
def definitions() -> tuple[Definition, ...]:
    """All views and macros; each comes after those it uses."""
    read = [
        _definition(file, is_base=folder == "base")
        for folder in ("base", "views")
        for file in sql_files(folder)
    ]
    by_name = {definition.name: definition for definition in read}
    uses = {name: by_name.keys() & _words(by_name[name].sql) - {name} for name in by_name}
    return tuple(by_name[name] for name in TopologicalSorter(uses).static_order())


@cache
def checks() -> tuple[Check, ...]:
    """All checks, those that can fail first."""
    read = [_check(file) for file in sql_files("checks")]
    return tuple(sorted(read, key=lambda each: (each.severity is Severity.WARN, each.name)))


@cache
def summaries() -> tuple[Summary, ...]:
    """All views whose rows are kept."""
    return tuple(_summary(file) for file in sql_files("summaries"))


def sql_files(folder: str) -> list[Traversable]:
    """The files in a folder of `sql/`, by name."""
    found = [file for file in files("sql").joinpath(folder).iterdir() if file.name.endswith(".sql")]
    return sorted(found, key=lambda file: file.name)


def literal(text: str) -> str:
    """Text as a SQL string literal, for the statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def markdown() -> str:
    """docs/views.md."""
    with closing(duckdb.connect()) as connection:
        define(connection, "", ())
        return "\n".join(_page(connection))


def _words(sql: str) -> set[str]:
    code = (line.partition("--")[0] for line in sql.splitlines())
    return set(_WORD.findall("\n".join(code)))


@dataclass(frozen=True, slots=True)
class _Header:
    first: str
    """What follows the first line's colon."""
    description: str
    parameters: tuple[Described, ...]
    columns: tuple[Described, ...]


def _read(file: Traversable, first: str) -> tuple[_Header, str]:
    """The header and the statement of a file whose first line is `-- FIRST: …`."""
    lines = file.read_text(encoding="utf-8").splitlines()
    size = next(n for n, line in enumerate(lines) if not line.startswith("--"))
    header = [line[2:] for line in lines[:size]]
    if not header or not header[0].startswith(f" {first}: "):
        raise ValueError(f"{file}: the first line is not '-- {first}: …'")
    body = header.index("") if "" in header else len(header)
    entries: list[str] = []
    for line in header[body + 1 :]:
        if line.startswith("   "):
            entries[-1] += f" {line.strip()}"
        else:
            entries.append(line.strip())
    parsed = [match for match in map(_ENTRY.fullmatch, entries) if match]
    if len(parsed) != len(entries):
        raise ValueError(f"{file}: the header has a line that is not '-- NAME: …'")
    described = [
        (bool(match["takes"]), Described(match["name"], match["text"])) for match in parsed
    ]
    return (
        _Header(
            first=header[0].removeprefix(f" {first}: "),
            description=" ".join(line.strip() for line in header[1:body]),
            parameters=tuple(each for is_parameter, each in described if is_parameter),
            columns=tuple(each for is_parameter, each in described if not is_parameter),
        ),
        "\n".join(lines[size:]).strip().removesuffix(";"),
    )


def _definition(file: Traversable, *, is_base: bool) -> Definition:
    header, sql = _read(file, "grain")
    statement = _STATEMENT.match(sql.partition("\n")[0])
    if statement is None or f"{statement['name']}.sql" != file.name:
        raise ValueError(f"{file}: does not create what it is named after")
    if statement["kind"] == "view":
        kind = Kind.VIEW
    else:
        kind = Kind.TABLE_MACRO if statement["as_table"] else Kind.MACRO
    return Definition(
        name=statement["name"],
        kind=kind,
        is_base=is_base,
        grain=header.first,
        description=header.description,
        parameters=header.parameters,
        columns=header.columns + _columns_of_table(statement["name"]),
        sql=sql,
    )


def _columns_of_table(name: str) -> tuple[Described, ...]:
    if name not in SCHEMAS:
        return ()
    return tuple(
        Described(field.name, field.metadata[b"comment"].decode())
        for field in SCHEMAS[TableName(name)]
    )


def _summary(file: Traversable) -> Summary:
    header, sql = _read(file, "grain")
    return Summary(file.name.removesuffix(".sql"), tuple(header.first.split(", ")), sql)


def _check(file: Traversable) -> Check:
    header, sql = _read(file, "severity")
    name = file.name.removesuffix(".sql")
    return Check(name, Severity(header.first), header.description, sql)


def _filled(lake: Lake) -> frozenset[str]:
    return frozenset(PurePosixPath(path).stem for path in lake.files())


def _statements(root: str, tables: Collection[str]) -> Iterator[str]:
    sources = _sources(root, tables)
    for definition in definitions():
        yield _SOURCE.sub(lambda match: sources[match[1]], definition.sql)
        yield from _comments(definition)


def _comments(definition: Definition) -> Iterator[str]:
    thing = {Kind.VIEW: "view", Kind.TABLE_MACRO: "macro table", Kind.MACRO: "macro"}
    text = definition.description
    if definition.kind is not Kind.MACRO:
        text += f" Grain: {definition.grain}."
    for parameter in definition.parameters:
        text += f"\n{parameter.name}: {parameter.comment}"
    yield f"comment on {thing[definition.kind]} {definition.name} is {literal(text)}"
    if definition.kind is Kind.VIEW:  # the catalog has no place for a macro's columns
        for column in definition.columns:
            name = f'{definition.name}."{column.name}"'
            yield f"comment on column {name} is {literal(column.comment)}"


def _sources(root: str, tables: Collection[str]) -> dict[str, str]:
    """What `$NAME` stands for: the rows of a table or summary, a table's glob and its footers."""
    sources: dict[str, str] = {}
    if (folder := _PARTITION_FOLDER.search(root)) is not None:
        raise LakeError(
            f"{printable(root)!r} cannot hold a lake: DuckDB would take its folder"
            f" {folder[0]!r} for a partition; rename it"
        )
    lake = _GLOB_SPECIAL.sub(r"[\g<0>]", root)
    for table, schema in SCHEMAS.items():
        # The full name at the end keeps files that are still being written out.
        glob = literal(f"{lake}/{table}/host=*/date=*/{table}.parquet")
        rows = _read_parquet(glob, "date", "date")
        footers = f"parquet_kv_metadata({glob})"
        if table not in tables:
            rows = _nothing("host", "date", *schema.names)
            footers = _nothing("file_name", "key", "value")
        sources |= {table: rows, f"{table}_glob": glob, f"{table}_footers": footers}
    kept = {summary.name for summary in summaries()}
    for view in (each for each in definitions() if each.name in kept):
        glob = literal(f"{lake}/{SUMMARIES}/host=*/year=*/{view.name}.parquet")
        rows = _read_parquet(glob, "year", "integer")
        columns = (column.name for column in view.columns)
        sources[view.name] = rows if view.name in tables else _nothing(*columns)
    return sources


def _read_parquet(glob: str, period: str, type: str) -> str:
    """The rows of partitions by host and a period, whose types are not to be guessed."""
    types = f"{{'host': varchar, '{period}': {type}}}"
    return f"read_parquet({glob}, hive_partitioning = true, hive_types = {types})"


def _nothing(*columns: str) -> str:
    return f"(select {', '.join(f'null as {column}' for column in columns)} limit 0)"


def _fingerprint(lake: Lake) -> str | None:
    """Of the statements that the lake's catalog was made with; None if it has no readable one."""
    with lake.store.scratch() as folder:
        copy = folder / CATALOG
        try:
            with lake.store.open(CATALOG) as file:
                copy.write_bytes(file.readall())
            with closing(duckdb.connect(copy, read_only=True)) as connection:
                row = connection.execute("select catalog_fingerprint()").fetchone()
        except (FileNotFoundError, duckdb.Error):
            return None
    return str(row[0]) if row else None


def _make(path: Path, lake: Lake, tables: Collection[str], fingerprint: str) -> None:
    with closing(duckdb.connect()) as connection:
        connection.register_filesystem(LakeFiles(lake.store))  # for the addresses of object stores
        connection.execute(
            f"attach {literal(str(path))} as catalog (storage_version {literal(STORAGE_VERSION)})"
        )
        connection.execute("use catalog")
        define(connection, lake.store.root, tables)
        connection.execute(f"create macro catalog_fingerprint() as {literal(fingerprint)}")
        connection.execute("use memory")
        connection.execute("detach catalog")  # which also writes the checkpoint


def _run(connection: duckdb.DuckDBPyConnection, each: Check) -> CheckResult:
    result = connection.execute(each.sql)
    columns = tuple(column[0] for column in result.description or ())
    rows = result.fetchmany(SHOWN_ROWS)
    more = sum(len(batch) for batch in iter(lambda: result.fetchmany(_BATCH_ROWS), []))
    return CheckResult(
        name=each.name,
        severity=each.severity,
        reason=each.reason,
        columns=columns,
        rows=tuple(rows),
        count=len(rows) + more,
    )


def _page(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    answers = sorted(_listed(is_base=False), key=lambda each: each.name)
    base = sorted(_listed(is_base=True), key=lambda each: each.name)
    yield from (
        "# Views",
        "",
        "Made from the headers of the files in `sql/` by `python -m flows.catalog`. The same texts",
        "are comments in `catalog.duckdb`: see `duckdb_views()`, `duckdb_columns()` and",
        "`duckdb_functions()`. Rates lie between 0 and 1, durations (`…_s`) are in seconds, and a",
        "`date` is the day in the name of the log file. Times are server-local, those of type",
        "TIMESTAMP WITH TIME ZONE are exact.",
        "",
    )
    for title, listed in (("Answers", answers), ("Tables and helpers", base)):
        yield from (f"## {title}", "", "| name | a row per |", "|---|---|")
        for each in listed:
            yield f"| [`{call(each)}`](#{each.name}) | {each.grain} |"
        yield ""
    yield from (
        "## Checks",
        "",
        "`acceptlake check` runs these, and so does every night, which looks only into the days",
        "that it touched; rows are offences.",
        "",
    )
    yield from ("| check | severity | why |", "|---|---|---|")
    for check in checks():
        yield f"| `{check.name}` | {check.severity} | {_cell(check.reason)} |"
    for each in (*answers, *base):
        yield from ("", f"## {each.name}", "", f"{each.kind.capitalize()} `{call(each)}`.")
        yield from (each.description, "")
        if each.parameters:
            yield from ("| parameter | |", "|---|---|")
            for parameter in each.parameters:
                yield f"| `{parameter.name}` | {_cell(parameter.comment)} |"
            yield ""
        if each.columns:
            types = _types(connection, each)
            yield from ("| column | type | |", "|---|---|---|")
            for column in each.columns:
                yield f"| `{column.name}` | {types[column.name]} | {_cell(column.comment)} |"


def _listed(*, is_base: bool) -> list[Definition]:
    return [definition for definition in definitions() if definition.is_base is is_base]


def call(definition: Definition) -> str:
    """How a view or macro is written in a query."""
    if definition.kind is Kind.VIEW:
        return definition.name
    return f"{definition.name}({', '.join(each.name for each in definition.parameters)})"


def _types(connection: duckdb.DuckDBPyConnection, definition: Definition) -> dict[str, str]:
    if definition.kind is Kind.VIEW:
        relation = connection.view(definition.name)
    else:
        relation = connection.table_function(definition.name, [None for _ in definition.parameters])
    return {name: str(dtype) for name, dtype in zip(relation.columns, relation.types, strict=True)}


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(markdown() + "\n")
