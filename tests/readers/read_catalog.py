"""A BI tool: keeps a catalog open and answers; of other packages it needs no more than DuckDB.

    python read_catalog.py CATALOG < QUESTIONS

A line of input is an object of names and queries, all of which are asked. The line of output has of
each its columns with their types, and its rows as text.
"""

import json
import sys

import duckdb


def answer(connection, sql, tries=5):
    """What a query gives; one that ends because a file was replaced under it is asked again."""
    try:
        described = connection.execute(f"describe {sql}").fetchall()
        # As text, for older versions make values of TIMESTAMPTZ with one more package.
        rows = connection.execute(f"select columns(*)::varchar from ({sql})").fetchall()
    except duckdb.Error:
        if tries == 1:
            raise
        return answer(connection, sql, tries - 1)
    types = {name: dtype for name, dtype, *_ in described}
    return {"types": types, "rows": sorted(rows, key=str)}


def main():
    """Answer until there are no more questions."""
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        for line in sys.stdin:
            questions = json.loads(line)
            answers = {name: answer(connection, sql) for name, sql in questions.items()}
            print(json.dumps(answers), flush=True)  # noqa: T201  (that is what it is for)


main()
