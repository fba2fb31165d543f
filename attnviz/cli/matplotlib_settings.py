"""Isolate matplotlib from the user's settings for other programs."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
import sys
from pathlib import Path


def isolate_matplotlib() -> None:
    """Make matplotlib, before it is imported, use its default settings and print nothing on standard error.

    A backend that is not installed, or a faulty ``matplotlibrc``, would make its import fail.
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
    if Path("matplotlibrc").exists():  # it takes precedence over all others
        with contextlib.chdir(package):
            importlib.import_module("matplotlib")
