"""The report: what the lake says of the mail, as one HTML page with charts.

Each figure is a query in `sql/report/`, all asked at once, and a function here that draws it. The
page needs nothing but itself: no script, no network, no fonts; it can be mailed and printed. What
clients sent is in it as text, and cannot be anything else: the page forbids itself all scripts.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import BinaryIO

import altair as alt
import duckdb
import jinja2
import pyarrow as pa
import vl_convert

from flows import catalog
from flows.errors import LakeError, printable
from flows.lake import Lake
from transforms.grammar import Verdict

_CHART_WIDTH = 760
_CHART_HEIGHT = 240
_ROW_HEIGHT = 26
"""Of a host in a chart with a row for each."""
_DAY_MS = 24 * 3600 * 1000
_MOST_POINTS = 60
"""Days up to which a line also shows each of them, so that a single one is seen."""

_MOST_NAMES = 4
"""Of hosts in the title."""

_COLORS = {
    Verdict.ACCEPTED: "#4c9f70",
    Verdict.TIMEOUT: "#b8b8b8",
    Verdict.REJECTED_POLICY: "#e3a23c",
    Verdict.REJECTED_AUTH: "#c8553d",
    Verdict.REJECTED_DNSBL: "#7a4f9a",
    Verdict.REJECTED_REVERSE_DNS: "#b58bc9",
    Verdict.REJECTED_CONTENT: "#5b7fb5",
}
"""Of the verdicts, in the order in which they stand on each other."""

Figures = Mapping[str, pa.Table]


def write_report(lake: Lake, target: BinaryIO) -> None:
    """Write the report on a lake.

    Args:
        lake: any; it is only read.
        target: where the page goes, in UTF-8.

    Raises:
        LakeError: a partition is damaged.
        ReplacedError: files were replaced all the time.
        OSError: a file cannot be read.
    """
    try:
        with catalog.reading(lake) as reader:
            rows = reader.ask(lambda: figures(reader.connection))
    except duckdb.Error as error:
        raise LakeError("; ".join(lake.damaged()) or str(error)) from error
    charts = {name: _drawn(draw(rows[name])) for name, draw in _CHARTS.items()}
    page = _template().render(
        title=_title(rows["hosts"]["host"].to_pylist()),
        lake=str(lake.store.root),
        made_at=datetime.now(UTC),
        period=rows["period"].to_pylist()[0],
        totals=rows["totals"].to_pylist()[0],
        senders=rows["senders"].to_pylist(),
        hosts=rows["hosts"].to_pylist(),
        charts=charts,
    )
    target.write(page.encode("utf-8", "backslashreplace"))


def _title(hosts: Sequence[str]) -> str:
    some = ", ".join(hosts) if 0 < len(hosts) <= _MOST_NAMES else f"{len(hosts)} hosts"
    return f"Mail at {some}"


def figures(connection: duckdb.DuckDBPyConnection) -> Figures:
    """The rows of each query in `sql/report/`, by its name.

    Args:
        connection: one that has every view and macro over a lake, see `catalog.reading`.
    """
    queries = {
        file.name.removesuffix(".sql"): file.read_text(encoding="utf-8")
        for file in catalog.sql_files("report")
    }
    first, last = connection.sql(queries["period"]).project("from_date, last_date").fetchall()[0]

    def ask(query: str) -> pa.Table:
        days: dict[str, date] = {"from_date": first, "to_date": last}
        wanted = {name: day for name, day in days.items() if f"${name}" in query}
        return connection.sql(query, params=wanted).to_arrow_table()

    return {name: ask(query) for name, query in queries.items()}


def _acceptance(rows: pa.Table) -> alt.Chart:
    share = alt.Y("rate:Q", title="of connections with a verdict", axis=alt.Axis(format="%"))
    return _lines(rows, share.scale(domain=[0, 1]))


def _latency(rows: pa.Table) -> alt.Chart:
    return _lines(rows, alt.Y("p95_s:Q", title="seconds, 95th percentile"))


def _lines(rows: pa.Table, y: alt.Y) -> alt.Chart:
    """A line for each host over the days."""
    has_points = len(rows["date"].unique()) <= _MOST_POINTS
    lines = alt.Chart(_printable(rows), height=_CHART_HEIGHT).mark_line(point=has_points)
    return lines.encode(x=_days(), y=y, color=alt.Color("host:N", title=None))


def _verdicts(rows: pa.Table) -> alt.Chart:
    colors = alt.Scale(domain=list(_COLORS), range=list(_COLORS.values()))
    order = {verdict: place for place, verdict in enumerate(_COLORS)}
    place = [order[verdict] for verdict in rows["verdict"].to_pylist()]
    placed = rows.append_column("place", pa.array(place, pa.int32()))
    bars = alt.Chart(placed, height=_CHART_HEIGHT).mark_bar(binSpacing=0)
    return bars.encode(
        x=_days(),
        y=alt.Y("verdicts:Q", title="verdicts", stack="zero"),
        color=alt.Color("verdict:N", title=None, scale=colors),
        order="place:Q",
    )


def _load(rows: pa.Table) -> alt.Chart:
    cells = alt.Chart(_printable(rows), height=alt.Step(_ROW_HEIGHT)).mark_rect()
    return cells.encode(
        x=alt.X("hour:O", title="hour of the day", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("host:N", title=None),
        color=alt.Color("connections:Q", title="connections").scale(scheme="teals"),
    )


_CHARTS: dict[str, Callable[[pa.Table], alt.Chart]] = {
    "acceptance": _acceptance,
    "verdicts": _verdicts,
    "latency": _latency,
    "load": _load,
}
"""How each figure that is a chart is drawn, by the name of its query."""


def _days() -> alt.X:
    # The text of a day means midnight UTC to Vega, so its axis must be of UTC, too.
    axis = alt.Axis(format="%Y-%m-%d", tickMinStep=_DAY_MS, labelAlign="left", tickCount=8)
    return alt.X("utcyearmonthdate(date):T", title=None, axis=axis)


def _printable(rows: pa.Table) -> pa.Table:
    """The rows, with names of hosts as they can be shown: they are names of folders."""
    hosts = [printable(host) for host in rows["host"].to_pylist()]
    place = rows.schema.get_field_index("host")
    return rows.set_column(place, "host", pa.array(hosts, pa.string()))


def _drawn(chart: alt.Chart) -> str:
    """A chart as the address of an SVG picture: in a picture nothing can run."""
    # Altair counts the rows so that browsers do not choke; here is none.
    with alt.data_transformers.enable("default", max_rows=None):
        specification = chart.properties(width=_CHART_WIDTH).configure_view(stroke=None).to_dict()
    drawing = vl_convert.vegalite_to_svg(specification)
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing.encode()).decode()}"


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["printable"] = printable
    return environment.from_string(
        files("flows").joinpath("report.html").read_text(encoding="utf-8")
    )
