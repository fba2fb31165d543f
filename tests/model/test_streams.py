"""A stream beside the text's predicts tokens (ProphetNet): its scores are transformers', and others are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import attnviz
from attnviz.attention.interventions import Zero
from attnviz.errors import UsageError
from attnviz.model.architecture.description import describe
from attnviz.model.hosted.precision import precision
from attnviz.model.native.ahead import predicting_states
from attnviz.model.native.forward import KVCache
from tests import tiny
from tests.model.parity import make, saved, spec_of
from tests.model.variants import IDS, TARGET
from tests.model.variants.prophetnet import VARIANTS, prophetnet

TEXT, WRITTEN = "The bank approved the loan.", "The loan of it."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("streams") / "model"
    variant = prophetnet(vocab_size=len(tiny.VOCABULARY), decoder_start_token_id=2, eos_token_id=3)
    return tiny.save(path, make(variant, torch.float32), scale=0.18)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    found = attnviz.load(folder)
    assert found.backend.name == "native"
    return found


SCORED = [
    name
    for name, variant in VARIANTS.items()
    # Without a cache transformers gives the biases of one query to another, and with one it counts from row 0.
    if variant.model != "ProphetNetModel" and not variant.config["pad_token_id"]
]


def scores_of_transformers(model: Any, *, paired: bool) -> torch.Tensor:
    """The scores (T, V) of what follows each token of the decoder's text, which is given token by token."""
    read, past, found = ("decoder_input_ids" if paired else "input_ids"), None, []
    encoded = {"encoder_outputs": model.prophetnet.encoder(torch.tensor([IDS]))} if paired else {}
    for token in TARGET:
        output = model(**{read: torch.tensor([[token]])}, **encoded, past_key_values=past, use_cache=True)
        past = output.past_key_values
        found.append(output.logits[0, 0])
    return torch.stack(found)


@pytest.mark.parametrize("name", SCORED)
def test_scores_of_the_next_token_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    with precision(torch.float64), torch.inference_mode():
        model = make(VARIANTS[name], torch.float64)
        theirs = scores_of_transformers(model, paired=VARIANTS[name].target is not None)
    network = saved(model, tmp_path, torch.float64)
    memory = network.encoder(IDS) if network.encoder else None
    for first in (0, 5):
        states = predicting_states(network, TARGET, first, memory)
        mine = states @ model.lm_head.weight.detach().T
        torch.testing.assert_close(mine, theirs[first:], rtol=0, atol=1e-10)


def test_what_predicts_leaves_what_was_read_as_it_is(tmp_path: Path) -> None:
    network = saved(make(VARIANTS["a decoder alone"], torch.float64), tmp_path, torch.float64)
    past = KVCache()
    network(TARGET[:4], past=past)
    before = dict(past._read)
    predicting_states(network, TARGET, 0)
    assert past.length == 4
    torch.testing.assert_close(network(TARGET[4:], past=past), network(TARGET)[4:], rtol=0, atol=1e-12)
    assert before.keys() == past._read.keys()


def test_the_last_position_is_that_of_a_token_that_is_predicted() -> None:
    spec = spec_of(prophetnet())
    assert (spec.encoder.limit if spec.encoder else 0, spec.limit) == (39, 38)
    assert "which each query makes" in describe(spec)["decoder position"]


def test_what_it_writes_is_what_transformers_writes(model: Any) -> None:
    found = model.attend(TEXT, generate=6)
    assert found.cross.note == "the stream of the text: those that predict are left out"
    assert model.check(TEXT, generate=6).passed
    with model.intervene(Zero(1, 0, kind="decoder")):
        assert model.attend(TEXT, generate=6).cross.weights.shape[-1] == found.cross.weights.shape[-1]


def test_heads_are_left_out_while_it_writes(model: Any) -> None:
    table = model.generate(TEXT, without=["1.0"], tokens=4)
    assert len(table.to_pandas()) >= 1
    assert float(table.to_pandas()["p"].max()) <= 1


def test_effects_are_of_its_states(model: Any) -> None:
    table = model.ablate(TEXT, decoder_text=WRITTEN, heads=["1.0"], attention="decoder")
    assert "states" in str(table.to_pandas().columns) or "pooled" in str(table.to_pandas().columns)
    with pytest.raises(UsageError, match="another stream"):
        model.ablate(TEXT, decoder_text=WRITTEN, heads=["1.0"], attention="decoder", target="loan")


REFUSED: dict[str, Callable[[Any], Any]] = {
    "contributions": lambda model: model.contributions(TEXT, decoder_text=WRITTEN),
    "gradient": lambda model: model.attend(TEXT, target=WRITTEN, weights="gradient"),
    "patch": lambda model: model.patch(TEXT, TEXT.replace("bank", "loan"), decoder_text=WRITTEN),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_adds_to_a_logit_is_refused_with_the_reason(what: str, model: Any) -> None:
    with pytest.raises(UsageError, match="another stream, which reads that of the text"):
        REFUSED[what](model)
