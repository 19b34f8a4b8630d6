"""What docs/bi/superset.py makes in Superset: datasets on views, charts of them, a dashboard.

Each chart comes with a question to `acceptlake sql` whose answer must be the chart's data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Expression:
    """A metric or calculated column that a dataset gets, for these charts and those to come."""

    name: str
    title: str
    sql: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A view of the catalog, as Superset is to know it."""

    view: str
    time_column: str
    metrics: tuple[Expression, ...] = ()
    calculated: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, the query behind it, and the question to acceptlake with the same answer."""

    title: str
    description: str
    view: str
    kind: str
    """Superset's name of the kind of chart."""
    columns: tuple[str, ...]
    """What there is a row per; of a table, what is shown."""
    metrics: tuple[str, ...] = ()
    equal: Mapping[str, str] = field(default_factory=dict)
    """Only rows whose columns have these values."""
    order: tuple[str, ...] = ()
    """Columns to sort by; `-` before one means from the top down."""
    look: Mapping[str, Any] = field(default_factory=dict)
    """What else Superset's chart editor would have set."""
    answer: str = ""
    """For `acceptlake sql`; its columns are named like the chart's."""


DATASETS = (
    Dataset(
        "acceptance_rate_daily",
        "date",
        metrics=(
            # Not the mean of the rates: this is right for weeks and for all hosts together, too.
            Expression(
                "acceptance_rate", "Accepted verdicts", "sum(accepted) / nullif(sum(verdicts), 0)"
            ),
        ),
    ),
    Dataset(
        "top_rejected_senders",
        "last_seen",
        calculated=(
            Expression(
                "shown_sender",
                "Sender",
                "case sender when '' then '<> (null sender)' else sender end",
            ),
        ),
    ),
    Dataset(
        "connection_to_verdict_latency",
        "date",
        metrics=(
            # Quantiles cannot be added up: of several hosts or days together, this is the worst.
            Expression("worst_p95_s", "95th percentile, seconds", "max(p95_s)"),
        ),
    ),
)

_LINES: Mapping[str, Any] = {
    "time_grain_sqla": "P1D",
    "x_axis_time_format": "%b %d",
    "tooltipTimeFormat": "%Y-%m-%d",
    "rich_tooltip": True,
    "show_legend": True,
    "legendOrientation": "top",
    "legendType": "scroll",
    "markerEnabled": True,
    "markerSize": 5,
    "sort_series_type": "name",
    "sort_series_ascending": True,
    "truncateYAxis": True,
    "y_axis_bounds": [0, None],
    "truncate_metric": True,
}

CHARTS = (
    Chart(
        title="Acceptance rate by host",
        description="Accepted verdicts of all verdicts, a point per host and day.",
        view="acceptance_rate_daily",
        kind="echarts_timeseries_line",
        columns=("date", "host"),
        metrics=("acceptance_rate",),
        look={**_LINES, "y_axis_format": ".0%"},
        answer="""
            select date, host, verdict_acceptance_rate as acceptance_rate
            from acceptance_rate_daily
        """,
    ),
    Chart(
        title="Latency of accepted mail, 95th percentile in seconds",
        description="Seconds from the connect to MAIL FROM or AUTH that 95 % of the accepted first "
        "messages did not exceed, a point per host and day.",
        view="connection_to_verdict_latency",
        kind="echarts_timeseries_line",
        columns=("date", "host"),
        metrics=("worst_p95_s",),
        equal={"verdict": "accepted"},
        look={**_LINES, "y_axis_format": "~g"},
        answer="""
            select date, host, p95_s as worst_p95_s
            from connection_to_verdict_latency where verdict = 'accepted'
        """,
    ),
    Chart(
        title="Top rejected senders",
        description="Envelope senders by rejected verdicts, over the whole lake. A sender is what "
        "the client claimed.",
        view="top_rejected_senders",
        kind="table",
        columns=("shown_sender", "rejected", "accepted", "rejection_rate", "client_ips"),
        order=("-rejected", "shown_sender"),
        look={
            "page_length": 10,
            "column_config": {
                "rejected": {"customColumnName": "Rejected", "d3NumberFormat": ",d"},
                "accepted": {"customColumnName": "Accepted", "d3NumberFormat": ",d"},
                "rejection_rate": {"customColumnName": "Rejection rate", "d3NumberFormat": ".1%"},
                "client_ips": {"customColumnName": "Addresses", "d3NumberFormat": ",d"},
            },
            "show_cell_bars": False,
        },
        answer="""
            select
                if(sender = '', '<> (null sender)', sender) as shown_sender,
                rejected, accepted, rejection_rate, client_ips
            from top_rejected_senders order by rejected desc, shown_sender
        """,
    ),
)
LAYOUT = (((0,), 44), ((1, 2), 62))
"""The dashboard: rows of charts, by their places in CHARTS, and how high they are."""
