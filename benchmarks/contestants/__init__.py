"""Programs that make the events of one log file into one Parquet file, ours among them.

Each is a function `(log, out)` that is called in a fresh process. Those of other programs know
nothing of acceptlake: a few of them run in an environment of their own, without it.
"""
