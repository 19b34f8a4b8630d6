"""The report says what the views say, in any browser, whatever clients have sent."""

import base64
import os
import re
import shutil
import subprocess
import sys
from datetime import date
from html import escape
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pytest

from flows import catalog
from flows.lake import Lake
from flows.night import Request, Unwatched, run, threads
from flows.report import figures, write_report
from flows.simulate import Edition, Plan, simulate

SQL = Path(__file__).parents[2] / "sql" / "report"
LINE = b"[03/Jun/2026:09:00:%02d], (mx1), 192.0.2.1[192.0.2.1], %b,<B0000000000>,abort\n"
HOSTILE = [
    b"<script>document.title = 'owned'</script",
    b'"><img src=x onerror="document.title = 1"',
    b"{{ 7 * 7 }}{% raw %}",
    b"\x1b]0;owned\x07@example.org",
    "\u202egnp.exe@example.org".encode(),
    b'"a, b"@example.org, c',
    b"x,<B0000000001>,ok",
    b"x" * 260,
]
HOSTILE_HOSTS = ["<b>MX1", "..%2f..%2fetc", "MX'; drop view verdicts; --", "host=MX2,{a}*[b]"]
"""Names of folders; each of them is a host."""


class Page(HTMLParser):
    """The texts of a page, its tables as rows of cells, and its pictures."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self.pictures: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "img":
            self.pictures.append(dict(attributes)["src"] or "")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()

    def svg(self, nth: int) -> ElementTree.Element:
        kind, _, content = self.pictures[nth].partition(",")
        assert kind == "data:image/svg+xml;base64"
        return ElementTree.fromstring(base64.b64decode(content))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    mail = tmp_path_factory.mktemp("mail")
    plan = Plan(Edition.WIN_4AN, ("MX1", "MX2"), date(2026, 4, 20), 45, 60, seed=3)
    simulate(mail, plan, truth=False)
    return ingested(mail, tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def hostile_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    mail = tmp_path_factory.mktemp("mail")
    lines = [LINE % (nth, sender) for nth, sender in enumerate(HOSTILE)]
    for host in HOSTILE_HOSTS:
        folder = mail / "acceptlog" / host
        folder.mkdir(parents=True)
        (folder / "260603.log").write_bytes(b"".join(lines))
    return ingested(mail, tmp_path_factory.mktemp("lake"))


def ingested(mail: Path, where: Path) -> Lake:
    night = run(Request(mail, str(where), zone="Asia/Tokyo"), threads, Unwatched())
    assert night.count("failed") == 0
    return Lake.at(str(where))


def report(lake: Lake) -> str:
    page = BytesIO()
    write_report(lake, page)
    return page.getvalue().decode()


def browse(html: str, folder: Path) -> str:
    """What Chromium makes of a page: its document, after all scripts have run."""
    names = filter(
        None, [os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"]
    )
    if (chromium := next(filter(None, map(shutil.which, names)), None)) is None:
        pytest.fail("there is no Chromium; run `make browser`, or set CHROMIUM to the path of one")
    page = folder / "report.html"
    page.write_text(html, encoding="utf-8")
    shown = subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-sync",
            "--disable-background-networking", "--no-first-run", f"--user-data-dir={folder}/user",
            "--virtual-time-budget=2000", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return shown.stdout


def test_its_numbers_are_those_of_the_views(lake: Lake) -> None:
    page = report(lake)
    text = re.sub(r"<[^>]*>", " ", page)
    with catalog.reading(lake) as reader:
        totals = reader.connection.sql(
            "select sum(connections), sum(verdicts), sum(rejected) from acceptance_rate_daily"
            " where date > (select max(date) from acceptance_rate_daily) - 30"
        ).fetchall()[0]
        senders = reader.connection.sql(
            "select sender, rejected, accepted from top_rejected_senders_between("
            " (select max(date) - 29 from acceptance_rate_daily), date '2099-01-01', 15)"
        ).fetchall()
    for total in totals:
        assert f"{total:,}" in text
    shown = [row[:3] for row in Page(page).rows[1 : 1 + len(senders)]]
    expected = [
        [sender or "null sender, or none was given", *counts] for sender, *counts in senders
    ]
    assert shown == [[sender, f"{r:,}", f"{a:,}"] for sender, r, a in expected]


def labels(chart: ElementTree.Element) -> list[str]:
    """What a chart tells those who cannot see it, one label for each mark."""
    return [label for each in chart.iter() if (label := each.get("aria-label"))]


def test_every_chart_shows_its_data(lake: Lake) -> None:
    acceptance, verdicts, latency, load = map(labels, map(Page(report(lake)).svg, range(4)))
    bar = re.compile(r".*: (\S+); verdicts: (\d+); verdict: (\w+); place: \d")
    bars = [match.groups() for label in verdicts if (match := bar.fullmatch(label))]
    with catalog.reading(lake) as reader:
        expected = reader.connection.sql(
            "select cast(date as varchar), cast(count(*) as varchar), verdict from verdicts"
            " group by date, verdict"
        ).fetchall()
    assert sorted(bars) == sorted(expected)
    for host in ("MX1", "MX2"):
        assert any("2026-04-20" in label and f"host: {host}" in label for label in acceptance)
        assert any("2026-04-20" in label and f"host: {host}" in label for label in latency)
        assert sum(f"host: {host}" in label for label in load) == 24


@pytest.mark.parametrize("file", sorted(SQL.glob("*.sql")), ids=lambda file: file.stem)
def test_every_column_of_a_figure_is_described(file: Path, lake: Lake) -> None:
    grain, *described = re.findall(r"^-- (\w+): ", file.read_text(encoding="utf-8"), re.MULTILINE)
    with catalog.reading(lake) as reader:
        columns = figures(reader.connection)[file.stem].column_names
    assert (grain, described) == ("grain", columns)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "Pacific/Kiritimati"])
def test_no_time_zone_moves_a_day(zone: str, lake: Lake, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    command = ["-c", "from flows.cli import main; main()", "report", "-o", str(target)]
    subprocess.run(
        [sys.executable, *command, "--lake", lake.store.root],
        env=os.environ | {"TZ": zone},
        check=True,
    )
    chart = Page(target.read_text(encoding="utf-8")).svg(0)
    assert "X-axis for a utc scale with values from 2026-04-20 to 2026-06-04" in labels(chart)
    assert any("2026-04-20; of connections" in label for label in labels(chart))


def test_an_empty_lake_says_so(tmp_path: Path) -> None:
    page = report(Lake.at(str(tmp_path)))
    assert "no log in this lake yet" in page
    assert "<img" not in page


def test_what_clients_send_is_text(hostile_lake: Lake) -> None:
    page = report(hostile_lake)
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert not {"script", "b"} & set(Page(page).tags)
    cells = {row[0] for row in Page(page).rows}
    shown = {sender.decode() for sender in HOSTILE if sender.isascii() and b"\x1b" not in sender}
    assert shown | set(HOSTILE_HOSTS) <= cells
    assert len(Page(page).pictures) == 4


def test_a_browser_shows_every_chart(lake: Lake, tmp_path: Path) -> None:
    probe = "<script>document.title = [...document.images].map(i => i.naturalWidth > 600)</script>"
    # Without the page's own policy, so that the probe may run; then with it, when it may not.
    page = report(lake).replace("</body>", f"{probe}</body>")
    free = re.sub(r"<meta http-equiv.*\n", "", page)
    assert "<title>true,true,true,true</title>" in browse(free, tmp_path)
    assert "<title>Mail at MX1, MX2</title>" in browse(page, tmp_path)


def test_nothing_that_clients_send_runs_in_a_browser(hostile_lake: Lake, tmp_path: Path) -> None:
    free = re.sub(r"<meta http-equiv.*\n", "", report(hostile_lake))
    document = browse(free, tmp_path)
    title = escape(f"Mail at {', '.join(sorted(HOSTILE_HOSTS))}", quote=False)
    assert f"<title>{title}</title>" in document
    assert Page(document).tags.count("img") == 4
    assert not {"script", "b"} & set(Page(document).tags)
