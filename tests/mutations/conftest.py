"""The command line, as the tests of it run it."""

from __future__ import annotations

from tests.cli.conftest import run as run
