"""Messages of the library name parameters; the command line prints them as flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from attnviz.cli.app import command_group
from attnviz.cli.flags import flags_of, with_flags
from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("`stride` is 0", "--stride is 0"),
        ("give `text_field`, `formats` or `format`", "give --text-field, --format or --format"),
        ("`everything` and `all`", "--all and --all"),
        (
            "unset `HF_HUB_OFFLINE`; a `noun` of others' stays, and ``",
            "unset `HF_HUB_OFFLINE`; a `noun` of others' stays, and ``",
        ),
    ],
)
def test_parameters_become_flags(said: str, shown: str) -> None:
    assert with_flags(said, flags_of(command_group())) == shown


def test_an_error_of_the_library_names_flags(run: Run, tmp_path: Path) -> None:
    texts = tmp_path / "a.jsonl"
    texts.write_text('{"text": "The bank."}\n')
    result = run("batch", texts, "-o", tmp_path / "out", "--keep", "ticket")
    assert (result.code, "error: --keep names 'ticket'" in result.err, "`" in result.err) == (2, True, False)
