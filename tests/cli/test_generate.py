"""``attnviz generate`` and ``--weights gradient`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_ablate import *  # noqa: F403
