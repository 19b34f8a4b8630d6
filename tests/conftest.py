"""What all tests need: a Prefect of their own, and hypothesis without a clock."""

import os
import signal
import tempfile

from hypothesis import settings

# Before anything imports Prefect, which reads its settings then. Nobody's database is touched.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="acceptlake-prefect-")
os.environ.pop("PREFECT_API_URL", None)
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

# A shell makes what it starts in the background ignore Ctrl-C; what tests start inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
