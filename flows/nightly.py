"""The nightly flow: `flows.night.run` with every step a Prefect task.

Deployed by `acceptlake serve` or `prefect.yaml`; `acceptlake ingest` runs it at once. A task is one
log file, one day to pair or one year to summarize: what may take seconds, may be retried by itself,
and is worth a row in Prefect's UI. Logs that have not changed never become tasks.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from prefect import State, Task, flow
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.errors import AcceptlakeError
from flows.ingest import CORES
from flows.night import Night, Request, Unwatched, Watch, is_worth_retrying, run
from flows.night import State as LogState
from flows.prefect_server import prefect_api

_RETRIES = 3
_RETRY_PAUSES_S = [1.0, 5.0, 25.0]

Item = TypeVar("Item")
Result = TypeVar("Result")


# Prefect's flow() takes runners of any future, but says so of one kind only.
_a_task_a_core: Any = ThreadPoolTaskRunner(max_workers=CORES)
# A flow's parameters are data, so who watches it is told another way; the last one counts.
_watches: list[Watch] = [Unwatched()]


@flow(
    name="acceptlake-nightly",
    task_runner=_a_task_a_core,
    persist_result=False,
)
def nightly(
    source: str,
    lake: str,
    host: str | None = None,
    since: date | None = None,
    until: date | None = None,
    zone: str | None = None,
    force: bool = False,
    allow_shrink: bool = False,
    wait: bool = True,
) -> State[Night]:
    """Ingest every log that is new or has changed; see `flows.night.Request` for the parameters.

    Returns:
        Completed, or Failed if something could not be ingested or a check failed; the data is the
        `Night` in both cases.
    """
    request = Request(Path(source), lake, host, since, until, zone, force, allow_shrink, wait)
    night = run(request, _each_a_task, _watches[-1])
    create_markdown_artifact(key="acceptlake-night", markdown=to_markdown(night))
    ingested, failed = night.count(LogState.INGESTED), night.count(LogState.FAILED)
    message = f"{ingested} ingested, {night.count(LogState.UNCHANGED)} unchanged, {failed} failed"
    return (Completed if night.is_good else Failed)(message=message, data=night)


def run_as_flow(request: Request, watch: Watch) -> Night:
    """Run the flow now: on the server at PREFECT_API_URL, or else on one of our own.

    Raises:
        AcceptlakeError: as `flows.night.run`; or Prefect's server does not start.
    """
    parameters = asdict(request) | {"source": str(request.source)}
    _watches.append(watch)
    try:
        with prefect_api():
            state = nightly(**parameters, return_state=True)
            result = state.result(raise_on_failure=False)
    finally:
        _watches.pop()
    if isinstance(result, Night):
        return result
    if isinstance(result, Exception):
        raise result
    raise AcceptlakeError(f"the flow run ended as {state.name}: {state.message}")


def _each_a_task(
    name: str, step: Callable[[Item], Result], items: Sequence[Item]
) -> list[Result | Exception]:
    """A `flows.night.Each`."""
    work = Task(
        step,
        name=name,
        retries=_RETRIES,
        retry_delay_seconds=_RETRY_PAUSES_S,
        retry_condition_fn=_may_succeed_later,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    futures: list[PrefectFuture[Result]] = [
        work.with_options(task_run_name=_literally(f"{name} {item}")).submit(item) for item in items
    ]
    return [future.result(raise_on_failure=False) for future in futures]


def _literally(name: str) -> str:
    # Prefect takes a name for a template, and a host may be called anything.
    return name.replace("{", "{{").replace("}", "}}")


def _may_succeed_later(_task: object, _run: object, state: State[Any]) -> bool:
    result = state.result(raise_on_failure=False)
    return isinstance(result, BaseException) and is_worth_retrying(result)


def to_markdown(night: Night) -> str:
    """A night as a Markdown table, a row for each log that is not merely unchanged."""
    lines = [
        f"{night.count(LogState.UNCHANGED)} logs unchanged, {night.paired} days paired,"
        f" {night.seconds:.1f} s.",
        "",
        "| log | result | lines | accepts | verdicts | malformed |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for outcome in night.outcomes:
        if outcome.state is LogState.UNCHANGED:
            continue
        entry = outcome.entry
        counts = (entry.lines, entry.accepts, entry.verdicts, entry.malformed) if entry else ()
        cells = [outcome.name, outcome.state.value, *(f"{count:,}" for count in counts)]
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    problems = [outcome.error for outcome in night.outcomes if outcome.error]
    problems += night.other_errors
    problems += [f"check {c.name} ({c.severity}, {c.count} rows): {c.reason}" for c in night.checks]
    return "\n".join([*lines, "", *(f"- {_cell(problem)}" for problem in problems)])


def _cell(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("|", "\\|")
    return escaped.replace("<", "&lt;").replace("`", "\\`")
