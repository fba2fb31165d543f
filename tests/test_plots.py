from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from attnviz.errors import UsageError
from attnviz.interface import Attention
from tests.records import random_weights, record

WORDS = ("[CLS]", "bank", "loan", "river", "water", "[SEP]")


@pytest.fixture(scope="module")
def attention() -> Attention:
    return Attention(**vars(record(WORDS, random_weights((2, 3, 6)))))


@pytest.mark.parametrize(
    "asked",
    [{}, {"layer": 1}, {"layer": [0, 1], "head": [0, 2]}, {"head": "mean"}, {"token": "river"}, {"view": "profile"},
     {"view": "arcs", "horizontal": True}, {"view": "token", "token": "bank", "layer": 1}, {"rows": "river"}],
    ids=str,
)  # fmt: skip
def test_a_record_draws_itself_in_all_ways(attention: Attention, asked: dict[str, Any]) -> None:
    figure = attention.plot(**asked, width=3.3, theme="dark")
    assert isinstance(figure, Figure)
    assert figure.get_size_inches()[0] == pytest.approx(3.3)


def test_two_records_are_drawn_with_their_difference(attention: Attention) -> None:
    figure = attention.plot(versus=attention, layer=1, head=2)
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(images) == 3
    assert not np.asarray(images[2].get_array()).any()


def test_a_matrix_has_the_weights_of_one_head_with_their_words(attention: Attention) -> None:
    matrix = attention.matrix(1, 2)
    np.testing.assert_allclose(np.asarray(matrix), attention.weights[1, 2], rtol=1e-6)
    assert matrix.rows == matrix.columns == WORDS
    frame = matrix.to_pandas()
    assert frame.loc["loan", "river"] == pytest.approx(attention.weights[1, 2, 2, 3])
    assert attention.matrix(0, 0, special=False).rows == WORDS[1:5]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"view": "arc"}, "there is no view 'arc'"),
        ({"with": 3}, "a picture has no 'with'"),
        ({"width": -1}, "`width` is -1"),
        ({"vmax": 2}, "expected a weight above 0 and at most 1"),
        ({"theme": "blue"}, "there is no theme 'blue'"),
        ({"layer": 7}, "no layer 7"),
        ({"token": "sea"}, "the text has no word 'sea'"),
        ({"view": "token"}, "what one word looks at"),
    ],
)
def test_what_there_is_not_is_said(attention: Attention, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        attention.plot(**asked)
    assert said in str(caught.value)
