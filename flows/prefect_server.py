"""A Prefect server of our own, for those who have none: it lives exactly as long as we do.

Prefect's own ephemeral server survives a killed parent. Ours is a child that watches its standard
input, which the operating system closes whatever way the parent dies.
"""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from flows.errors import AcceptlakeError

_HOST = "127.0.0.1"
_START_WITHIN_S = 120
_STOP_WITHIN_S = 15
_POLL_S = 0.1

# Prefect reads its settings on import, so this comes before any of it. What is set already stays.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "ERROR")


@contextmanager
def prefect_api(port: int | None = None) -> Iterator[str]:
    """Within this context Prefect has an API: the one it is configured for, or a server of ours.

    Args:
        port: for a server that people shall find, with UI and scheduler. None = any free port,
            without them.

    Yields:
        The URL of the API.

    Raises:
        AcceptlakeError: the port is taken, or the server does not start.
    """
    from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

    if url := get_current_settings().api.url:
        yield url
        return
    with _server(port) as url, temporary_settings({PREFECT_API_URL: url}):
        try:
            yield url
        finally:
            _say_everything()


@contextmanager
def _server(port: int | None) -> Iterator[str]:
    mode = "for-a-run" if port is None else "to-stay"
    port = _free_port() if port is None else port
    if _is_taken(port):
        raise AcceptlakeError(
            f"port {port} is in use; set PREFECT_API_URL if it is a Prefect server's,"
            " or choose another with --port"
        )
    url = f"http://{_HOST}:{port}/api"
    child = subprocess.Popen(  # noqa: S603  (all of it is ours)
        [sys.executable, "-m", "flows.prefect_server", str(port), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=None,
        start_new_session=True,  # Ctrl-C is for us; the server must outlive our last report to it
    )
    try:
        _await(child, url)
        yield url
    finally:
        if child.stdin:
            child.stdin.close()
        try:
            child.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            child.kill()


def _say_everything() -> None:
    """Send what Prefect has still to report, as long as there is someone to report it to."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all()
    APILogWorker.drain_all()


def _await(child: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + _START_WITHIN_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:  # noqa: S310
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(_POLL_S)
    raise AcceptlakeError(
        f"Prefect's server did not start at {url} within {_START_WITHIN_S} s;"
        " set PREFECT_API_URL to use another, or run with --direct"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((_HOST, port)) == 0


def _serve(port: int, mode: str) -> None:
    """Be the server, until standard input closes."""
    if mode == "for-a-run":
        os.environ["PREFECT__SERVER_EPHEMERAL"] = "1"  # no scheduler, no late-run marking
        os.environ["PREFECT_UI_ENABLED"] = "0"
    os.environ["PREFECT_UI_API_URL"] = f"http://{_HOST}:{port}/api"  # else the UI asks port 4200
    os.environ["PREFECT__SERVER_FINAL"] = "1"
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(
            "prefect.server.api.server:create_app",
            factory=True,
            host=_HOST,
            port=port,
            log_level="error",
        )
    )

    def watch() -> None:
        os.read(sys.stdin.fileno(), 1)
        server.should_exit = True
        time.sleep(_STOP_WITHIN_S)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    server.run()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2])
