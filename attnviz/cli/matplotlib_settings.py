"""matplotlib as it comes: what its user has set for other programs does not reach the command line's pictures."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
import sys
from pathlib import Path


def isolate_matplotlib() -> None:
    """Before matplotlib is imported: it reads no settings but its own, and says nothing on standard error.

    A backend that is not installed and a ``matplotlibrc`` with a mistake would end it while it is imported.
    """
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)
    if "matplotlib" in sys.modules:
        return
    os.environ.pop("MPLBACKEND", None)
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        return
    package = Path(found.origin).parent
    os.environ["MATPLOTLIBRC"] = str(package / "mpl-data" / "matplotlibrc")
    if Path("matplotlibrc").exists():  # which is read before all others
        with contextlib.chdir(package):
            importlib.import_module("matplotlib")
