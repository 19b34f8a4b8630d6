"""Superset's settings for docs/bi/superset.py: it asks one lake, and tells nobody."""

import os
import threading
from pathlib import Path

from duckdb_engine import ConnectionWrapper
from sqlalchemy import event
from sqlalchemy.engine import Engine
from superset.config import TALISMAN_CONFIG  # type: ignore[import-not-found]  # not our superset.py

home = Path(os.environ["SUPERSET_HOME"])
SECRET_KEY = (home / "secret_key").read_text()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{home / 'superset.db'}"

# Its pages ask for a picture that tells the makers of Superset that you run it.
TALISMAN_CONFIG["content_security_policy"]["img-src"] = ["'self'", "blob:", "data:"]

_one_at_a_time = threading.Lock()


@event.listens_for(Engine, "connect")
def confine(connection: object, _record: object) -> None:
    """Let SQL open the lake and no other file: `from read_text('/etc/passwd')` is SQL, too.

    These settings cannot be given when DuckDB connects, and all connections of a process share
    them.
    """
    if not isinstance(connection, ConnectionWrapper):
        return
    where = "select path from duckdb_databases() where database_name = current_database()"
    with _one_at_a_time:
        ((locked,),) = connection.execute("select current_setting('lock_configuration')").fetchall()
        if locked:
            return
        ((catalog,),) = connection.execute(where).fetchall()
        lake = str(Path(catalog).parent).replace("'", "''")
        connection.execute("set autoinstall_known_extensions = false")
        connection.execute("set autoload_known_extensions = false")
        connection.execute("set python_enable_replacements = false")  # else SQL sees our variables
        connection.execute(f"set allowed_directories = ['{lake}/']")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
