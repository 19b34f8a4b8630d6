"""The SQL of the lake, one view, macro or check a file; `flows.catalog` reads and runs it.

`base/` types the Parquet files, `views/` answers questions, `summaries/` makes the rows that some
views read, `checks/` selects what must not be.
"""
