"""The nightly schedule as one long-running process: Prefect's server, if there is none, and runs.

A night ingests whatever is missing or changed, so nights that were missed need no runs of their
own. Those that Prefect had already planned start one after the other when we are back; the first
does all the work, the others find everything unchanged.
"""

from pathlib import Path

from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from flows.discover import discover
from flows.errors import AcceptlakeError
from flows.lake import Lake
from flows.night import zone_named
from flows.nightly import nightly
from flows.prefect_server import prefect_api

DEPLOYMENT = "nightly"


def serve(
    *,
    source: Path,
    lake: str,
    host: str | None,
    zone: str | None,
    cron: str,
    cron_zone: str,
    port: int,
) -> None:
    """Run the nightly flow on its schedule until the process is told to stop.

    Args:
        source: what to ingest, see `flows.discover`.
        lake: folder or URI.
        host: server name, for logs that lie in no computer folder.
        zone: IANA time zone of the servers. None = as in the lake, or Tokyo.
        cron: when; five fields.
        cron_zone: IANA time zone of `cron`.
        port: of our own server, used if Prefect is not configured for another.

    Raises:
        AcceptlakeError: source, lake, cron or zone are wrong, or the port is taken.
    """
    # Better to hear of a mistake now than every night.
    discover(source, host)
    Lake.at(lake)
    zone_named(zone or cron_zone)
    try:
        schedule = Cron(cron, timezone=str(zone_named(cron_zone)))
    except ValueError as error:
        raise AcceptlakeError(f"{cron!r} is not a cron expression: {error}") from error
    # The working directory of a run is not ours.
    where = lake if "://" in lake else str(Path(lake).resolve())
    with prefect_api(port):
        nightly.serve(
            name=DEPLOYMENT,
            schedule=schedule,
            parameters={
                "source": str(source.resolve()),
                "lake": where,
                "host": host,
                "zone": zone,
            },
            limit=1,
            pause_on_shutdown=False,
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
