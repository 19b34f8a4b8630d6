"""What a Parquet file of the lake is cut into, and what a lookup in it may skip."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.write import ROW_GROUP_ROWS, row_groups, write_parquet

SCHEMA = pa.schema([("line_no", pa.int64()), ("message_id", pa.string())])


def lines(first: int, count: int) -> pa.Table:
    numbers = list(range(first, first + count))
    return pa.table({"line_no": numbers, "message_id": [f"B{n:010}" for n in numbers]}, SCHEMA)


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([], []),
        ([0, 0], []),
        ([5], [5]),
        ([5, 0, 7], [12]),
        ([ROW_GROUP_ROWS - 1, 1], [ROW_GROUP_ROWS]),
        ([ROW_GROUP_ROWS + 3], [ROW_GROUP_ROWS, 3]),
        ([2, 2 * ROW_GROUP_ROWS], [ROW_GROUP_ROWS, ROW_GROUP_ROWS, 2]),
    ],
)
def test_tables_are_joined_and_cut_to_row_groups(sizes: list[int], groups: list[int]) -> None:
    tables = [lines(sum(sizes[:nth]), size) for nth, size in enumerate(sizes)]
    found = list(row_groups(tables))
    assert [len(group) for group in found] == groups
    numbers = [n for group in found for n in group["line_no"].to_pylist()]
    assert numbers == list(range(sum(sizes)))


def test_large_rows_do_not_wait_until_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.write._ROW_GROUP_BYTES", lines(0, 10).nbytes)
    found = list(row_groups(lines(first, 4) for first in range(0, 20, 4)))
    assert [len(group) for group in found] == [12, 8]
    assert [n for group in found for n in group["line_no"].to_pylist()] == list(range(20))


def test_an_empty_table_is_no_row_group(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_parquet(path, SCHEMA, (lines(0, size) for size in (0, 4, 0, 3)), dict)
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert groups == [4, 3]


@pytest.mark.parametrize("sizes", [[], [0]])
def test_a_file_without_rows_has_columns_and_a_footer(tmp_path: Path, sizes: list[int]) -> None:
    path = tmp_path / "x.parquet"
    write_parquet(path, SCHEMA, (lines(0, size) for size in sizes), lambda: {"a": "b"})
    metadata = pq.read_metadata(path)
    assert metadata.num_rows == 0
    assert metadata.metadata[b"a"] == b"b"
    assert pq.read_table(path).schema.remove_metadata().equals(SCHEMA)


def test_bloom_filters_are_of_use_though_a_file_begins_with_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    # The ids of both groups are in the same range, so that statistics tell nothing.
    odd, even = (lines(0, 20_000).take(list(range(start, 20_000, 2))) for start in (1, 0))
    write_parquet(path, SCHEMA, [lines(0, 0), odd, even], dict)
    excluded = 0
    for number in range(0, 200, 2):
        odd_group, even_group = duckdb.execute(
            "select bloom_filter_excludes from parquet_bloom_probe($path, 'message_id', $id)"
            " order by row_group_id",
            {"path": str(path), "id": f"B{number:010}"},
        ).fetchall()
        assert even_group == (False,)
        excluded += odd_group == (True,)
    assert excluded > 80
