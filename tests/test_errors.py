from __future__ import annotations

import pytest

from attnviz.analysis.text.shown_maps import require_layers
from attnviz.attention.interventions import no_layer
from attnviz.errors import AttnvizError, ExitCode, InputError, ModelError, UnsupportedModel, UsageError


@pytest.mark.parametrize(
    ("kind", "code"), [(UsageError, 2), (InputError, 3), (ModelError, 4), (UnsupportedModel, 4), (AttnvizError, 2)]
)
def test_each_kind_has_its_exit_code(kind: type[AttnvizError], code: int) -> None:
    assert kind("wrong").exit_code == code


def test_the_check_has_an_exit_code_of_its_own() -> None:
    assert ExitCode.CHECK == 5
    assert len(set(ExitCode)) == len(ExitCode.__members__)


def test_the_hint_is_a_line_of_its_own() -> None:
    assert str(InputError("the text is empty", hint="Give a sentence.")) == "the text is empty\nGive a sentence."
    assert str(InputError("the text is empty")) == "the text is empty"


def test_a_caller_can_add_what_it_knows() -> None:
    error = ModelError("no config.json", hint="Download it.")
    error.message = f"tiny: {error.message}"
    assert str(error) == "tiny: no config.json\nDownload it."


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((0, 1, 2), "this model has layers 0–2"),
        ((0,), "this model has layer 0"),
        ((3,), "this model has attention in layer 3"),
        ((0, 1, 3), "this model has attention in layers 0–1, 3"),
    ],
)
def test_the_layers_that_a_model_has_are_said_alike_wherever_one_is_refused(
    numbers: tuple[int, ...], said: str
) -> None:
    assert no_layer(9, numbers).message == f"there is no layer 9: {said}"
    with pytest.raises(UsageError) as refused:
        require_layers([9], numbers)
    assert refused.value.message == f"no layer 9: {said}"
