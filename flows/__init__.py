"""Everything that touches the world: files, clocks, Prefect, the command line."""
