"""``--source-lang`` and ``--target-lang``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import translators
from tests.cli.conftest import Run
from tests.translators import SOURCE, TARGET


@pytest.fixture(scope="module")
def nllb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return translators.nllb(tmp_path_factory.mktemp("nllb"))


def test_the_command_line_takes_both_languages(nllb: Path, run: Run) -> None:
    model = ("-m", nllb, "--source-lang", "deu_Latn", "--target-lang", "eng_Latn")
    shown = run("show", SOURCE, "--target", TARGET, "--tokens", "--special", "--map", "decoder", *model)
    assert shown.code == 0
    assert "eng_Latn" in shown.out
    assert "✓ 24 heads agree with transformers" in shown.out
    assert run("check", SOURCE, "--generate", "3", *model).code == 0
    wrong = run("show", SOURCE, "--target", TARGET, "-m", nllb, "--target-lang", "french")
    assert (wrong.code, wrong.out) == (2, "")
    assert "none of the 3 languages" in wrong.said
