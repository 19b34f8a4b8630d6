"""Apache Superset over a lake: installed, connected, drawn, and its numbers checked.

    python docs/bi/superset.py --lake data/demo           # and stop it again
    python docs/bi/superset.py --lake data/demo --keep    # and leave it running until Ctrl-C

Superset lives in an environment of its own under `--home`, with all that it writes. Whoever runs
this again gets the same dashboard, mended. What is drawn, and of which views, is in
superset_charts.py.
"""

import argparse
import http.cookiejar
import io
import json
import math
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from superset_charts import CHARTS, DATASETS, LAYOUT, Chart, Dataset

ROOT = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).with_suffix(".txt")
SETTINGS = Path(__file__).with_name("superset_config.py")
NAME = "acceptlake"
"""Of the database in Superset, and of the dashboard's address."""
ROW_LIMIT = 10_000
"""Of a chart; Superset warns on a chart that reaches it."""
COLUMN_FIELDS = {"id", "column_name", "description", "is_dttm", "type", "filterable", "groupby"}
"""Of what Superset says of a column, what it also takes."""
START_S = 180
"""Superset is up by then, or something is wrong."""


class RecipeError(Exception):
    """What went wrong, where, and what to do."""


def main() -> None:
    """Run the recipe; errors are one line, not a traceback."""
    parser = argparse.ArgumentParser(description="Apache Superset over a lake.")
    parser.add_argument(
        "--lake", type=Path, default=ROOT / "data" / "demo", help="the lake's folder"
    )
    parser.add_argument(
        "--home", type=Path, default=ROOT / "data" / "superset", help="its own folder"
    )
    parser.add_argument("--port", type=int, default=8088, help="on localhost")
    parser.add_argument("--keep", action="store_true", help="leave Superset running until Ctrl-C")
    given = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # also into a file, where --keep ends it late
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        recipe(given.lake.resolve(), given.home.resolve(), given.port, keep=given.keep)
    except RecipeError as error:
        sys.exit(f"superset.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def recipe(lake: Path, home: Path, port: int, *, keep: bool) -> None:
    """All of it, in order."""
    catalog = lake / "catalog.duckdb"
    if not catalog.is_file():
        raise RecipeError(f"{lake}: no catalog.duckdb here; `make demo` makes a lake in data/demo")
    install(home)
    prepare(home)
    with running(home, port) as address:
        superset = Superset(address, password_of(home))
        database = connected(superset, catalog)
        datasets = {each.view: dataset(superset, database, each) for each in DATASETS}
        board = dashboard(superset)
        charts = [chart(superset, board, datasets[each.view], each) for each in CHARTS]
        lay_out(superset, board, charts)
        for number, each in zip(charts, CHARTS, strict=True):
            check(superset, number, each, lake)
        print(f"\n{address}/superset/dashboard/{NAME}/\nuser admin, password {password_of(home)}")
        if keep:
            print("running until Ctrl-C")
            signal.pause()


# The environment and the server.


def install(home: Path) -> None:
    """Superset in a virtual environment of its own; nothing to do if it is there."""
    if sys.platform == "win32":
        raise RecipeError("Superset does not run on Windows; its makers advise Docker or WSL")
    if not (3, 11) <= sys.version_info[:2] <= (3, 12):
        have = ".".join(map(str, sys.version_info[:2]))
        raise RecipeError(f"Superset's pins are for Python 3.11 and 3.12, this is {have}")
    if done(home, "installed"):
        return
    print(f"installing Superset in {home} (once, some minutes, 1 GB)")
    home.mkdir(parents=True, exist_ok=True)
    command("making the environment", [sys.executable, "-m", "venv", "--clear", home / "venv"])
    pip: list[str | Path] = [home / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet"]
    pip += ["--disable-pip-version-check", "--no-deps", "--require-hashes", "-r", REQUIREMENTS]
    command("installing Superset", pip)
    done(home, "installed", now=True)


def prepare(home: Path) -> None:
    """Its settings, its own database, and the administrator."""
    if done(home, "prepared"):
        return
    print("making Superset's own database")
    if not (home / "password").exists():
        private(home / "secret_key", secrets.token_urlsafe(42))
        private(home / "password", secrets.token_urlsafe(12))
    tool = home / "venv" / "bin" / "superset"
    command("making Superset's tables", [tool, "db", "upgrade"], home)
    command("making Superset's roles", [tool, "init"], home)
    # `superset fab create-admin` would show the password to all who list processes.
    add = """if 1:
        import sys
        from superset.app import create_app
        app = create_app()
        with app.app_context():
            users = app.appbuilder.sm
            if not users.find_user("admin"):
                names = ("admin", "Mail", "Administrator", "admin@localhost")
                if not users.add_user(*names, users.find_role("Admin"), sys.stdin.read()):
                    sys.exit("the user was not made")
    """
    python = home / "venv" / "bin" / "python"
    command("making the administrator", [python, "-c", add], home, password_of(home))
    done(home, "prepared", now=True)


def done(home: Path, what: str, *, now: bool = False) -> bool:
    """Whether this was done with the requirements as they are, or that it is now."""
    marker, state = home / f".{what}", sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if now:
        marker.write_text(state)
    return marker.exists() and marker.read_text() == state


def private(path: Path, text: str) -> None:
    """Write a file that only we can read."""
    path.touch(mode=0o600)
    path.write_text(text)


def password_of(home: Path) -> str:
    """The administrator's, as it was made."""
    try:
        return (home / "password").read_text()
    except OSError as error:
        raise RecipeError(f"{error}; remove {home} to start anew") from error


def command(
    what: str, words: Sequence[str | Path], home: Path | None = None, given: str = ""
) -> None:
    """Run something to its end.

    Raises:
        RecipeError: it failed; with the last of what it said.
    """
    ran = subprocess.run(
        words,
        input=given,
        cwd=home,
        env=environment(home) if home else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise RecipeError(f"{what} failed:\n{tail(ran.stdout)}")


def environment(home: Path) -> dict[str, str]:
    """For Superset's own processes; what this Python was given is not for them."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return ours | {
        "FLASK_APP": "superset.app:create_app()",
        "SUPERSET_CONFIG_PATH": str(SETTINGS),
        "SUPERSET_HOME": str(home),
    }


def tail(text: str) -> str:
    """The last lines, for an error."""
    return "\n".join(f"    {line}" for line in text.splitlines()[-12:])


@contextmanager
def running(home: Path, port: int) -> Iterator[str]:
    """Superset's server on localhost; gives its address, and stops it in the end."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise RecipeError(f"port {port} is taken, maybe by a Superset; stop it, or take --port")
    address, log = f"http://127.0.0.1:{port}", home / "superset.log"
    words: list[str | Path] = [home / "venv" / "bin" / "gunicorn", "--bind", f"127.0.0.1:{port}"]
    words += ["--worker-class", "gthread", "--threads", "8", "--timeout", "120"]
    words += ["--no-control-socket", "superset.app:create_app()"]
    print("starting Superset")
    with log.open("w") as target:
        # A session of its own, so that Ctrl-C reaches us alone and we stop it.
        server = subprocess.Popen(
            words,
            cwd=home,
            env=environment(home),
            stdout=target,
            stderr=target,
            start_new_session=True,
        )
    try:
        wait_for(server, address, log)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


def wait_for(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Until Superset answers."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except OSError:
            time.sleep(1)
    raise RecipeError(f"Superset did not start; the end of {log}:\n{tail(log.read_text())}")


# What is made through Superset's REST API.


class Superset:
    """Its REST API, as the administrator."""

    def __init__(self, address: str, password: str) -> None:
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)
        self._address = address
        self._headers = {"Referer": address}
        login = {"username": "admin", "password": password, "provider": "db"}
        token = self.call("POST", "security/login", login)["access_token"]
        self._headers["Authorization"] = f"Bearer {token}"
        self._headers["X-CSRFToken"] = self.call("GET", "security/csrf_token/")["result"]

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask; the answer as it comes.

        Raises:
            RecipeError: Superset refused.
        """
        data = None if body is None else json.dumps(body).encode()
        url = f"{self._address}/api/v1/{path}"
        # A GET that says it brings JSON is searched for some.
        kind = {} if data is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(url, data, self._headers | kind, method=method)
        try:
            with self._opener.open(request, timeout=120) as response:
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace").strip()[:1000]
            advice = "; did someone change the password?" if path == "security/login" else ""
            raise RecipeError(f"{method} {path}: {error.code}, {said}{advice}") from error
        except OSError as error:
            raise RecipeError(f"{method} {path}: {error}; superset.log may say why") from error
        return answer

    def put(self, kind: str, name_key: str, name: str, body: Mapping[str, Any]) -> int:
        """Make something, or bring it up to date; gives its number."""
        found = self.call("GET", f"{kind}/?q=(page_size:100)")["result"]
        for each in found:
            if each[name_key] == name:
                self.call("PUT", f"{kind}/{each['id']}", body)
                return int(each["id"])
        return int(self.call("POST", f"{kind}/", {name_key: name, **body})["id"])


def connected(superset: Superset, catalog: Path) -> int:
    """The catalog as a database of Superset's."""
    options = {"connect_args": {"read_only": True}}
    return superset.put(
        "database",
        "database_name",
        NAME,
        {
            "sqlalchemy_uri": f"duckdb:///{catalog}",  # an absolute path: four slashes in all
            "extra": json.dumps({"engine_params": options}),
            "expose_in_sqllab": True,
        },
    )


def dataset(superset: Superset, database: int, wanted: Dataset) -> int:
    """A view as a dataset, with the columns it has now."""
    name = {"database": database, "schema": "main", "table_name": wanted.view}
    found = superset.call("GET", "dataset/?q=(page_size:100)")["result"]
    numbers = [
        each["id"]
        for each in found
        if (each["database"]["id"], each["table_name"]) == (database, wanted.view)
    ]
    number = int(numbers[0] if numbers else superset.call("POST", "dataset/", name)["id"])
    superset.call("PUT", f"dataset/{number}/refresh")
    now = superset.call("GET", f"dataset/{number}")["result"]
    metrics = {each["metric_name"]: {"id": each["id"]} for each in now["metrics"]}
    columns = {each["column_name"]: {"id": each["id"]} for each in now["columns"]}
    superset.call(
        "PUT",
        f"dataset/{number}",
        {
            "main_dttm_col": wanted.time_column,
            "metrics": [
                metrics.get(each.name, {})
                | {"metric_name": each.name, "verbose_name": each.title, "expression": each.sql}
                for each in wanted.metrics
            ],
            "columns": [
                {key: value for key, value in each.items() if key in COLUMN_FIELDS}
                for each in now["columns"]
                if not each["expression"]
            ]
            + [
                columns.get(each.name, {})
                | {"column_name": each.name, "verbose_name": each.title, "expression": each.sql}
                for each in wanted.calculated
            ],
        },
    )
    return number


def chart(superset: Superset, board: int, dataset: int, wanted: Chart) -> int:
    """A chart on the dashboard."""
    where = [{"col": key, "op": "==", "val": value} for key, value in wanted.equal.items()]
    order = [[each.removeprefix("-"), not each.startswith("-")] for each in wanted.order]
    query = {
        "columns": columns_of(wanted),
        "metrics": list(wanted.metrics),
        "filters": where,
        "orderby": order,
        "row_limit": ROW_LIMIT,
    }
    source = {"id": dataset, "type": "table"}
    form = form_of(wanted, where, order) | {"datasource": f"{dataset}__table"}
    return superset.put(
        "chart",
        "slice_name",
        wanted.title,
        {
            "description": wanted.description,
            "viz_type": wanted.kind,
            "datasource_id": dataset,
            "datasource_type": "table",
            "params": json.dumps(form),
            "query_context": json.dumps(
                {
                    "datasource": source,
                    "queries": [query],
                    "form_data": form,
                    "result_format": "json",
                    "result_type": "full",
                }
            ),
            "dashboards": [board],
        },
    )


def columns_of(wanted: Chart) -> list[Any]:
    """What the query has a row per; the axis is a column cut to its grain."""
    if wanted.kind == "table":
        return list(wanted.columns)
    axis, *others = wanted.columns
    grain = {"columnType": "BASE_AXIS", "timeGrain": wanted.look["time_grain_sqla"]}
    cut = grain | {"sqlExpression": axis, "label": axis, "expressionType": "SQL"}
    return [cut, *others]


def form_of(
    wanted: Chart, where: Sequence[Mapping[str, str]], order: Sequence[Any]
) -> dict[str, Any]:
    """The chart editor's fields: from these, the browser asks for what it draws."""
    form: dict[str, Any] = {
        "viz_type": wanted.kind,
        "row_limit": ROW_LIMIT,
        "adhoc_filters": [
            {
                "expressionType": "SIMPLE",
                "clause": "WHERE",
                "subject": each["col"],
                "operator": each["op"],
                "operatorId": "EQUALS",
                "comparator": each["val"],
            }
            for each in where
        ],
        **wanted.look,
    }
    if wanted.kind == "table":
        columns = {"query_mode": "raw", "all_columns": list(wanted.columns)}
        return form | columns | {"order_by_cols": [json.dumps(each) for each in order]}
    axis, *others = wanted.columns
    return form | {"x_axis": axis, "groupby": others, "metrics": list(wanted.metrics)}


def dashboard(superset: Superset) -> int:
    """The dashboard, still without its layout."""
    body = {"dashboard_title": "Mail accepted and rejected", "published": True}
    return superset.put("dashboard", "slug", NAME, body)


def lay_out(superset: Superset, board: int, numbers: Sequence[int]) -> None:
    """Put the charts into rows; Superset's grid is 12 columns wide."""
    rows = [f"ROW-{place}" for place in range(len(LAYOUT))]
    position: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": rows, "parents": ["ROOT_ID"]},
    }
    for row, (places, height) in zip(rows, LAYOUT, strict=True):
        above = ["ROOT_ID", "GRID_ID"]
        position[row] = {
            "type": "ROW",
            "id": row,
            "children": [f"CHART-{place}" for place in places],
            "parents": above,
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
        for place in places:
            position[f"CHART-{place}"] = {
                "type": "CHART",
                "id": f"CHART-{place}",
                "children": [],
                "parents": [*above, row],
                "meta": {
                    "chartId": numbers[place],
                    "width": 12 // len(places),
                    "height": height,
                },
            }
    body = {
        "position_json": json.dumps(position),
        "json_metadata": json.dumps({"color_scheme": ""}),
    }
    superset.call("PUT", f"dashboard/{board}", body)


# Whether the charts tell what the lake tells.


def check(superset: Superset, number: int, wanted: Chart, lake: Path) -> None:
    """Compare a chart's data with what `acceptlake sql` answers.

    Raises:
        RecipeError: they differ, or there are none.
    """
    result = superset.call("GET", f"chart/{number}/data/?force=true")["result"][0]
    times = [
        name for name, kind in zip(result["colnames"], result["coltypes"], strict=True) if kind == 2
    ]
    columns = (*wanted.columns, *wanted.metrics)
    drawn = [tuple(shown(row[name], name in times) for name in columns) for row in result["data"]]
    asked = [tuple(row[name] for name in columns) for row in answered(wanted.answer, lake)]
    if not wanted.order:
        drawn, asked = sorted(drawn, key=repr), sorted(asked, key=repr)
    if not asked:
        raise RecipeError(f"{wanted.title}: {wanted.view} has no rows; is {lake} the right lake?")
    if len(drawn) != len(asked):
        raise RecipeError(f"{wanted.title}: {len(drawn)} rows, `acceptlake sql` has {len(asked)}")
    for ours, theirs in zip(asked, drawn, strict=True):
        if not all(map(same, ours, theirs)):
            raise RecipeError(f"{wanted.title}: Superset has {theirs}, `acceptlake sql` {ours}")
    print(f"{wanted.title}: {len(drawn)} rows, as `acceptlake sql` has them")


def shown(value: Any, is_time: bool) -> object:
    """A value of Superset's; its times are milliseconds since 1970."""
    if is_time and value is not None:
        return f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d}"
    return value


def same(one: object, other: object) -> bool:
    """Whether two values are, but for the last bits of a quotient."""
    if isinstance(one, float) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=1e-12)
    return one == other


def answered(question: str, lake: Path) -> list[dict[str, Any]]:
    """What acceptlake answers."""
    beside = Path(sys.executable).with_name("acceptlake")
    tool = beside if beside.exists() else shutil.which("acceptlake")
    if tool is None:
        raise RecipeError("no command acceptlake; run this with the Python that it is installed in")
    words = [tool, "sql", question, "--lake", lake, "--format", "json"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RecipeError(f"acceptlake sql failed:\n{tail(ran.stderr)}")
    rows: list[dict[str, Any]] = json.loads(ran.stdout)
    return rows


if __name__ == "__main__":
    main()
