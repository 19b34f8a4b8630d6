"""Pure functions from bytes and Arrow tables to Arrow tables; no files, no clock, no Prefect."""
