"""The command `acceptlake`.

Modules that take long to import (Arrow, DuckDB, Prefect) are imported where they are needed: help
and mistakes must answer at once.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from flows.errors import AcceptlakeError, printable

app = typer.Typer(
    help="Connection logs of E-POST mail servers as a Parquet lake with DuckDB views.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

WRONG_USE = 2
SOME_FAILED = 1
_INTERRUPTED = 130
_INTERRUPTION = (
    "acceptlake: interrupted; every file of the lake is whole,"
    " and the next ingest goes on from here"
)

LakeOption = Annotated[
    str,
    typer.Option(
        "--lake",
        metavar="LAKE",
        envvar="ACCEPTLAKE_LAKE",
        help="Folder or object-store URI of the lake.",
    ),
]
Source = Annotated[
    Path,
    typer.Argument(help="Mail work folder, acceptlog folder, computer folder or one log file."),
]


@app.command()
def ingest(
    source: Source,
    lake: LakeOption,
    host: Annotated[
        str | None, typer.Option(help="Server name, for logs that lie in no computer folder.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day to ingest.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day to ingest.")
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(help="Time zone of the servers. [default: as in the lake, or Asia/Tokyo]"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Ingest unchanged files too.")] = False,
    allow_shrink: Annotated[
        bool,
        typer.Option(
            "--allow-shrink",
            help="Let a log replace its partition though it lost lines that the lake has.",
        ),
    ] = False,
    direct: Annotated[
        bool, typer.Option("--direct", help="Without Prefect: no retries, nothing recorded.")
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Fail if someone else is writing the lake.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ingest every log that is new or has changed."""
    from flows import night, terminal

    request = night.Request(
        source=source,
        lake=lake,
        host=host,
        since=_date(since),
        until=_date(until),
        zone=zone,
        force=force,
        allow_shrink=allow_shrink,
        wait=not no_wait,
    )
    with terminal.Bars() as bars:
        if direct:
            result = night.run(request, night.threads, bars)
        else:
            # What Prefect logs is in its UI; here the table says it. Read when Prefect is imported.
            os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
            from flows.nightly import run_as_flow

            result = run_as_flow(request, bars)
    if as_json:
        typer.echo(json.dumps(result.summary()))
    terminal.show_night(result, table=not as_json)
    raise typer.Exit(0 if result.is_good else SOME_FAILED)


@app.command()
def serve(
    source: Source,
    lake: LakeOption,
    host: Annotated[
        str | None, typer.Option(help="Server name, for logs that lie in no computer folder.")
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(help="Time zone of the servers. [default: as in the lake, or Asia/Tokyo]"),
    ] = None,
    cron: Annotated[str, typer.Option(help="When, as a cron expression.")] = "20 0 * * *",
    cron_zone: Annotated[
        str, typer.Option(help="Time zone of the cron expression.")
    ] = "Asia/Tokyo",
    port: Annotated[
        int, typer.Option(help="Of Prefect's server and UI, if PREFECT_API_URL is not set.")
    ] = 4200,
) -> None:
    """Ingest every night, until stopped; nights that were missed are made up for by the next."""
    from flows.serve import serve

    serve(source=source, lake=lake, host=host, zone=zone, cron=cron, cron_zone=cron_zone, port=port)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SQL statement; - reads it from stdin.")],
    lake: LakeOption,
    form: Annotated[
        str, typer.Option("--format", help="table, csv, json or parquet.", metavar="FORMAT")
    ] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write there, not to stdout.")
    ] = None,
    spreadsheet: Annotated[
        bool,
        typer.Option(
            "--spreadsheet", help="In CSV, keep spreadsheets from taking values for formulas."
        ),
    ] = False,
) -> None:
    """Ask the lake; nothing can be written, and nothing outside it read."""
    from flows import query as queries
    from flows.lake import Lake

    if form not in list(queries.Format):
        raise AcceptlakeError(f"unknown format {form!r}: choose table, csv, json or parquet")
    statement = sys.stdin.read() if query == "-" else query
    source = Lake.at(lake, must_exist=True)
    with _output(output, is_text=form != queries.Format.PARQUET) as target:
        queries.query(source, statement, target, queries.Format(form), for_spreadsheet=spreadsheet)


@app.command()
def report(
    lake: LakeOption,
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")],
) -> None:
    """Write what the lake says of the mail as one HTML page, to be read, mailed or printed."""
    from flows.lake import Lake
    from flows.report import write_report

    source = Lake.at(lake, must_exist=True)
    with _output(output, is_text=True) as target:
        write_report(source, target)


@app.command("export-log")
def export_log(
    lake: LakeOption,
    host: Annotated[str, typer.Option(help="Computer name.")],
    day: Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="Day of the log.")],
) -> None:
    """Write a day's log to stdout, byte for byte as it was ingested."""
    from flows.export import export_log
    from flows.lake import Key, Lake

    with _output(None, is_text=False) as target:
        for piece in export_log(Lake.at(lake, must_exist=True), Key(host, day.date())):
            target.write(piece)


@app.command()
def verify(
    lake: LakeOption,
    source: Annotated[
        Path | None, typer.Argument(help="Compare with these logs too, as far as they go.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Server name, for logs that lie in no computer folder.")
    ] = None,
) -> None:
    """Prove that every partition gives back its log byte for byte."""
    from flows.verify import verify_lake

    failures = 0
    for finding in verify_lake(lake, source, host):
        failures += not finding.is_good
        typer.echo(printable(f"{finding.name}: {finding.text}"), err=not finding.is_good)
    raise typer.Exit(SOME_FAILED if failures else 0)


@contextmanager
def _output(path: Path | None, *, is_text: bool) -> Iterator[BinaryIO]:
    """Stdout, or a file that appears when it is complete."""
    if path is None:
        if not is_text and sys.stdout.isatty():  # which would obey what clients sent
            raise AcceptlakeError("this is not for a terminal; write it to a file: … > FILE")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.is_dir():
        raise AcceptlakeError(f"{str(path)!r} is a folder; name a file in it")
    pending = path.with_name(f".{path.name}.tmp")
    try:
        target = pending.open("wb")
    except OSError as error:
        reason = f"cannot write {str(path)!r}: {error.strerror}"
        raise AcceptlakeError(f"{reason}; is its folder there, and may you write to it?") from error
    try:
        with target:
            yield target
        pending.replace(path)
    finally:
        pending.unlink(missing_ok=True)


@app.command()
def replay(
    lake: LakeOption,
    zone: Annotated[
        str | None, typer.Option(help="Another time zone of the servers. [default: as it was]")
    ] = None,
) -> None:
    """Parse anew, from the lake itself, what an older parser has read."""
    from flows import night, terminal

    result = night.replay(lake, zone, night.threads)
    terminal.show_night(result, table=True)
    raise typer.Exit(0 if result.is_good else SOME_FAILED)


@app.command()
def prune(
    source: Source,
    lake: LakeOption,
    older_than: Annotated[
        str, typer.Option(help="Age of the logs to delete, such as 400d.", metavar="DAYS")
    ],
    host: Annotated[
        str | None, typer.Option(help="Server name, for logs that lie in no computer folder.")
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete; without it, only say what would be.")
    ] = False,
) -> None:
    """Delete source logs that the lake gives back byte for byte."""
    from flows import prune as pruning

    if (days := re.fullmatch(r"(\d{1,5})d?", older_than)) is None:
        raise AcceptlakeError(f"cannot read the age {older_than!r}; write days, such as 400d")
    age = timedelta(days=int(days[1]))
    found = kept = 0
    for finding in pruning.prune(source, host, lake, age, delete=delete):
        found += 1
        kept += not finding.is_good
        typer.echo(printable(f"{finding.name}: {finding.text}"), err=not finding.is_good)
    if not found:
        typer.echo(f"no log is of a day more than {age.days} days ago; nothing to delete")
    raise typer.Exit(SOME_FAILED if kept else 0)


@app.command()
def check(lake: LakeOption) -> None:
    """Run all checks of the data and show the rows that offend."""
    from flows import catalog, terminal
    from flows.lake import Lake

    results = [each for each in catalog.check(Lake.at(lake, must_exist=True)) if each.count]
    terminal.show_checks(results)
    raise typer.Exit(SOME_FAILED if any(each.severity == "fail" for each in results) else 0)


@app.command()
def views() -> None:
    """List the views and macros, and what a row of each is."""
    from flows import terminal

    terminal.show_views()


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="New folder for acceptlog/ and truth.jsonl.")],
    edition: Annotated[
        str, typer.Option(help="win (before 4.AN), bsd, or 4an.", metavar="EDITION")
    ] = "win",
    hosts: Annotated[
        list[str] | None, typer.Option("--host", help="Computer name; may be repeated.")
    ] = None,
    first_day: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="Day of the first log.")
    ] = datetime(2026, 6, 1),
    days: Annotated[int, typer.Option(help="How many.")] = 2,
    connections: Annotated[int, typer.Option(help="Connections per host and working day.")] = 5_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    hostility: Annotated[float, typer.Option(help="Share of odd lines, 0 to 1.")] = 0.002,
    no_truth: Annotated[
        bool, typer.Option("--no-truth", help="Only the logs; for large volumes.")
    ] = False,
) -> None:
    """Write realistic logs whose truth is known."""
    from flows.simulate import Edition, Plan, simulate

    try:
        plan = Plan(
            edition=Edition(edition),
            hosts=tuple(hosts or ["MX1"]),
            first_day=first_day.date(),
            days=days,
            connections_per_day=connections,
            seed=seed,
            hostility=hostility,
        )
        made = simulate(out, plan, truth=not no_truth)
    except (ValueError, FileExistsError) as error:
        raise AcceptlakeError(str(error)) from error
    typer.echo(f"{made.lines:,} lines in {len(made.files)} logs, {made.bytes / 1e6:,.1f} MB")


def _date(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def main() -> None:
    """Run the command; mistakes end in one sentence on stderr and an exit code, not a traceback."""
    try:
        app()
    except AcceptlakeError as error:
        _fail(str(error))
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(SOME_FAILED)
    except OSError as error:
        where = f"{printable(str(error.filename))!r}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}")
    except SystemExit as stop:
        if stop.code != _INTERRUPTED:  # which is what typer makes of Ctrl-C
            raise
        typer.echo(_INTERRUPTION, err=True)
        sys.stdout.flush()
        # All is put away by now; what libraries would still do and say is of no use to anyone.
        os._exit(_INTERRUPTED)


def _fail(reason: str) -> None:
    typer.echo(f"acceptlake: {printable(reason)}", err=True)
    sys.exit(WRONG_USE)
