"""What is shown and drawn of a record imports neither torch nor numba, and no more than it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from attnviz.render.figure.views import View

HEAVY = ("torch", "transformers", "numba", "matplotlib")
_ENDINGS = (".png", ".svg", ".pdf")
_COMMANDS = """
import json, sys, webbrowser
from attnviz.cli.app import app
webbrowser.get = lambda: (_ for _ in ()).throw(webbrowser.Error)
found = []
for command in json.loads(sys.argv[1]):
    app(command, standalone_mode=False)
    found.append([name for name in json.loads(sys.argv[2]) if name in sys.modules])
print(json.dumps(found))
"""
_PYTHON = """
import sys
import attnviz
att = attnviz.Attention.open(sys.argv[1])
for view in ("grid", "head", "arcs", "token", "profile", "difference"):
    att.plot(view=view, token="bank" if view == "token" else None, versus=att if view == "difference" else None)
att.plot(unit="sentence")
att.links("bank")
att.links(unit="sentence", per_token=True)
att.matrix(0, 1)
att._repr_mimebundle_()
print(att, [name for name in ("torch", "transformers", "numba") if name in sys.modules])
"""


def commands(record: Path, folder: Path) -> list[list[str]]:
    """The page first, so that nothing before it has imported what it does not need; then what is printed, and drawn."""
    start = ["--from", str(record)]
    shown = (
        [], ["--json"], ["--unit", "sentence"], ["--tokens", "--special", "--token", "bank"], ["--from", "bank"],
        ["--open"],
    )  # fmt: skip
    drawn = [
        ["--view", view, *(["--token", "bank"] if view == "token" else [])]
        for view in get_args(View)
        if view != "difference"  # it needs a second text, and a model for that
    ]
    pictures = [
        ["export", *start, str(folder / f"{i}{_ENDINGS[i % 3]}"), *options]
        for i, options in enumerate([[], *drawn, ["--layer", "0", "--head", "mean"], ["--unit", "line"]])
    ]
    return [["export", *start, str(folder / "a.html")], *(["show", *start, *options] for options in shown), *pictures]


@pytest.mark.parametrize("name", ["saved", "saved_three"])
def test_no_command_that_reads_a_record_imports_torch(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    saved = request.getfixturevalue(name)
    run = commands(saved, tmp_path)
    if name == "saved_three":
        run = [["align", "--from", str(saved)], *([*command, "--map", "encoder"] for command in run[::4])]
    script = [sys.executable, "-c", _COMMANDS, json.dumps(run), json.dumps(HEAVY)]
    ran = subprocess.run(
        script, capture_output=True, text=True, check=False, env=os.environ | {"TMPDIR": str(tmp_path)}
    )
    assert ran.returncode == 0, ran.stderr
    for command, imported in zip(run, json.loads(ran.stdout.splitlines()[-1]), strict=True):
        allowed = {"matplotlib"} if command[0] == "export" and not command[3].endswith(".html") else set()
        assert set(imported) <= allowed, command


def test_nor_does_python(saved: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", _PYTHON, str(saved)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith(" []\n")
