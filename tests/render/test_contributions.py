"""What adds to a logit as a terminal and pictures show it: both signs, by size."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.console import Console

from attnviz.analysis.table import Table
from attnviz.analysis.text.contributions import By, contributions_table
from attnviz.model.contributions import Contributions
from attnviz.model.targets import Scored, Target
from attnviz.render.figure import Style, draw_answer
from attnviz.render.terminal.answer import answer_parts
from tests.records import Spelled, record

WORDS: list[Spelled] = ["[BOS]", "Mary", ("Johnny", ["John", "##ny"]), "gave"]
SOURCES = np.array([
    [[0.0, 1.5, 0.25, 0.25, 0.0], [0.0, -0.5, -1.0, -1.0, 0.0]],
    [[0.1, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, -0.05]],
])  # fmt: skip
"""Of two layers of two heads what comes from each token."""
AT_80 = """\
What adds to the logit of ' Mary' minus that of ' John'?  model
  component    contribution  word    of word  second word  of second
  L1 MLP             +3.000  –             –  –                    –  █████████
  L0 H1              −2.500  Johnny   −2.000  Mary            −0.500  ███████▌
  L0 H0              +2.000  Mary     +1.500  Johnny          +0.500  ██████
  norm biases        −0.400  –             –  –                    –  █
"""
AT_60 = """\
What adds to the logit of ' Mary' minus that of ' John'?
model
  component  contribution  word    of word  second word
  L1 MLP           +3.000  –             –  –
  L0 H1            −2.500  Johnny   −2.000  Mary
"""


def table(by: By = "head") -> Table:
    target = Target("token", *(Scored(name, i, repr(name)) for i, name in enumerate((" Mary", " John", " Mary"))))
    found = Contributions(
        target, 4, 2.25, None, 0.5, {"self": SOURCES.sum(-1)}, {"self": SOURCES}, np.array([0.05, 3.0]),
        {"tokens": 0.05}, {"norm biases": -0.4}, {"self": (0, 1)},
    )  # fmt: skip
    encoding = record(WORDS, np.full((1, 1, 5, 5), 0.2)).encoding
    return contributions_table(found, encoding, None, model="model", by=by)


@pytest.mark.parametrize(("width", "rows", "expected"), [(80, 4, AT_80), (60, 2, AT_60)], ids=["80", "60"])
def test_a_terminal_shows_rows_by_size_with_bars_of_it(width: int, rows: int, expected: str) -> None:
    console = Console(width=width, file=io.StringIO(), color_system=None, highlight=False)
    with console.capture() as shown:
        for part in answer_parts(table().top(rows), None):
            console.print(part)
    lines = [line.rstrip() for line in shown.get().split("\n")]
    assert lines[: len(expected.splitlines())] == expected.splitlines()


def test_what_takes_has_the_other_colour() -> None:
    console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system="standard", highlight=False)
    with console.capture() as shown:
        for part in answer_parts(table(), 2):
            console.print(part)
    _, _, adds, takes, *_ = shown.get().splitlines()
    colours = [re.search(r"\x1b\[(\d+)m█", line) for line in (adds, takes)]
    assert colours[0]
    assert colours[1]
    assert colours[0][1] != colours[1][1]


def test_the_sum_is_said_with_what_parts_it_from_the_logit() -> None:
    (sums, predicted, direct) = table().notes
    assert sums.startswith(
        "All heads −0.450, MLPs +3.050, embeddings +0.050, biases −0.400: together 2.250, which is the logit "
        "difference (2.250, "
    )
    assert predicted == "The model predicts ' Mary', and ' Mary' with a probability of 50 %."
    assert direct.startswith("Direct effects only")


def test_the_map_of_heads_has_both_signs_on_one_scale() -> None:
    figure = draw_answer(table(), Style(dpi=60))
    (image,) = [axes.images[0] for axes in figure.axes if axes.images]
    np.testing.assert_allclose(image.get_array(), SOURCES.sum(-1))
    assert image.get_clim() == (-2.5, 2.5)
    colours = {tuple(np.round(bar.get_facecolor(), 3)) for axes in figure.axes for bar in axes.patches}
    assert len(colours) == 2


def test_the_map_of_words_has_the_sum_of_all_heads_first() -> None:
    figure = draw_answer(table("word"), Style(dpi=60))
    image = next(axes.images[0] for axes in figure.axes if axes.images)
    words = np.add.reduceat(SOURCES, [0, 1, 2, 4], axis=-1).reshape(4, 4)
    np.testing.assert_allclose(image.get_array(), [words.sum(0), words[1], words[0], words[2], words[3]])
    assert image.get_clim() == (-2, 2)
    axes = next(axes for axes in figure.axes if axes.images)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["all heads", "L0 H1", "L0 H0", "L1 H0", "L1 H1"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["[BOS]", "Mary", "Johnny", "gave"]
