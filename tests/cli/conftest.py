"""Run the command line in this process, as the console script does, and capture what it prints."""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from attnviz.cli.app import run_app
from attnviz.interface import Attention
from attnviz.record import write
from tests.records import three_maps


@dataclass(frozen=True)
class Result:
    """The exit code of a command, and what it printed."""

    code: Any
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Standard output, line by line, without trailing spaces."""
        return [line.rstrip() for line in self.out.splitlines()]

    @property
    def said(self) -> str:
        """Standard error as one line, without the frames around usage errors."""
        return " ".join(word for word in self.err.split() if word.strip("╭─╮│╰╯"))


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tiny_bert: Path) -> Run:
    """Run a command line of attnviz; the model is the tiny random one unless it names another."""
    monkeypatch.setenv("ATTNVIZ_MODEL", str(tiny_bert))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("attnviz.model.processor._flags", frozenset)  # what is said does not depend on this machine
    for name in ("FORCE_COLOR", "NO_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "TTY_COMPATIBLE", "TERMINAL_WIDTH"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object, stdin: bytes | None = b"") -> Result:
        given = None if stdin is None else io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
        out, err = io.BytesIO(), io.BytesIO()
        threshold = gc.get_threshold()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["attnviz", *map(str, arguments)])
            patch.setattr(sys.modules["__main__"], "__package__", None)  # the usage names the script, not pytest
            patch.setattr(sys, "stdin", given)
            patch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True))
            patch.setattr(sys, "stderr", io.TextIOWrapper(err, encoding="utf-8", newline="", write_through=True))
            try:
                with pytest.raises(SystemExit) as ended:
                    run_app()
            finally:
                gc.set_threshold(*threshold)
            sys.stdout.flush()
            sys.stderr.flush()
            return Result(ended.value.code, out.getvalue().decode(), err.getvalue().decode())

    return run


@pytest.fixture(scope="session")
def saved_three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of an encoder–decoder, with 2 layers of 3 heads and 2 generated tokens, saved as JSON."""
    path = tmp_path_factory.mktemp("saved") / "three.json"
    source, target = ["The", "bank", ("loans", ["loan", "##s"]), "money", "[</s>]"], ["[<s>]", "Die", "Bank", "gab"]
    write(three_maps(source, target, generated=2), path, ".json")
    return path


@pytest.fixture(scope="session")
def saved(tiny_attention: Attention, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The random BERT's attention of the bank sentence, saved as JSON."""
    path = tmp_path_factory.mktemp("saved") / "record.json"
    tiny_attention.save(path)
    return path
