"""What all tests need: a Prefect of their own, and hypothesis without a clock."""

import os
import tempfile

from hypothesis import settings

# Before anything imports Prefect, which reads its settings then. Nobody's database is touched.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="acceptlake-prefect-")
os.environ.pop("PREFECT_API_URL", None)
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
