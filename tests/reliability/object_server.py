"""An S3 API server in this process, to which something can happen at any request."""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.server import MotoRequestHandler
from pyarrow import fs
from werkzeug.serving import make_server

DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no</Message></Error>"


@dataclass(frozen=True)
class Request:
    """What a client asks for."""

    method: str
    path: str
    query: str

    @property
    def writes(self) -> bool:
        return self.method in ("PUT", "POST", "DELETE")

    def __str__(self) -> str:
        return f"{self.method} {self.path}?{self.query}"


class _Handler(MotoRequestHandler):  # type: ignore[misc]
    protocol_version = "HTTP/1.1"  # else clients wait for a "100 Continue" that does not come


class ObjectServer:
    """The server; what is to happen before a request is up to `meddle`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.meddle: Callable[[Request], bool] = lambda request: True
        """Is told of each request; False denies it."""
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self.server = make_server(
            "127.0.0.1", 0, self._app, threaded=True, request_handler=_Handler
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def _app(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(
            environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        )
        with self._lock:
            self.requests.append(request)
        if not self.meddle(request):
            start("403 Forbidden", [("Content-Type", "application/xml")])
            return [DENIED]
        return self._moto(environ, start)

    def bucket(self) -> str:
        """The address of a new lake in a new bucket."""
        name = f"lakes-{uuid4()}"
        boto3.client("s3").create_bucket(Bucket=name)
        return f"s3://{name}/mail/lake"

    @contextmanager
    def meddling(self, meddle: Callable[[Request], bool]) -> Iterator[None]:
        """A context in which requests are meddled with."""
        self.requests.clear()
        self.meddle = meddle
        try:
            yield
        finally:
            self.meddle = lambda request: True


@contextmanager
def serving() -> Iterator[ObjectServer]:
    """A server, and an environment that leads to it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ObjectServer()
    thread = threading.Thread(target=server.server.serve_forever, daemon=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", "anyone")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        thread.start()
        yield server
        server.server.shutdown()
        thread.join()


def download(where: str, folder: Path) -> Path:
    """A lake's partitions as files, to be looked at like any lake's."""
    files, prefix = fs.FileSystem.from_uri(where)
    folder.mkdir()
    for info in files.get_file_info(fs.FileSelector(prefix, recursive=True, allow_not_found=True)):
        if info.is_file and info.extension == "parquet":
            target = folder / info.path.removeprefix(f"{prefix}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            with files.open_input_stream(info.path) as content:
                target.write_bytes(content.readall())
    return folder
