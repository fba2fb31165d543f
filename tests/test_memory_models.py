"""A model in memory runs unchanged: natively if config and tensors describe it completely, else by transformers."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import parametrize, prune

import attnviz
from attnviz.attention import kernel
from attnviz.errors import UnsupportedModel
from tests import tiny

TEXT = "The bank approved the loan."
TOKENIZER = transformers.PreTrainedTokenizerFast(tokenizer_object=tiny.wordpiece())
CONFIG = tiny.DECODER | {"num_hidden_layers": 2}


def llama(**config: Any) -> Any:
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**(CONFIG | config))).eval()
    tiny.randomise(model)
    return model


def dots1() -> Any:
    model = transformers.Dots1ForCausalLM(transformers.Dots1Config(**(CONFIG | tiny.EXPERTS))).eval()
    tiny.randomise(model)
    return model


def own(model: Any, text: str = TEXT) -> NDArray[Any]:
    """Return transformers' own weights, (L, H, N, N)."""
    before, training = model.config._attn_implementation, model.training
    model.set_attn_implementation("eager")
    model.eval()
    with torch.inference_mode():
        found = model(**TOKENIZER(text, return_tensors="pt"), output_attentions=True, use_cache=False).attentions
    model.set_attn_implementation(before)
    model.train(training)
    return torch.cat(found).double().numpy()


def assert_right(mine: Any, model: Any, reason: str | None = None) -> None:
    """Assert that the record and the verdict of the check are right; hosted for a ``reason``, native for None."""
    found = mine.attend(TEXT)
    np.testing.assert_allclose(found.weights, own(model), atol=1e-5)
    assert found.backend == ("native" if reason is None else "hosted")
    assert (reason or "") in mine.reason
    assert bool(mine.reason) is (reason is not None)
    assert mine.check(TEXT, float64=True).passed


class Tripled(nn.Module):
    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner, self.weight = inner, inner.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) * 3  # type: ignore[no-any-return]


class Doubling(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


def _forward(model: Any) -> None:
    old = model.model.layers[0].forward
    model.model.layers[0].forward = lambda *given, **named: old(*given, **named).sin()


def _steering(model: Any) -> None:
    vector = torch.linspace(-1, 1, 32)
    layer = model.model.layers[0]
    layer.register_forward_hook(lambda *given: given[2] + vector * layer.mlp.down_proj.weight.mean())


CHANGES: dict[str, Callable[[Any], Any]] = {
    "layers.0.self_attn.o_proj has a forward hook (": lambda model: model.model.layers[
        0
    ].self_attn.o_proj.register_forward_pre_hook(lambda _, given: (given[0] * 0,)),
    "model.layers.0 has a forward hook (_steering.<locals>.<lambda>)": _steering,
    "layers.0.self_attn.q_proj is a Tripled, its config makes a Linear": lambda model: setattr(
        model.model.layers[0].self_attn, "q_proj", Tripled(model.model.layers[0].self_attn.q_proj)
    ),
    "layers.0.mlp.act_fn is a Tanh, its config makes a SiLU": lambda model: setattr(
        model.model.layers[0].mlp, "act_fn", nn.Tanh()
    ),
    "layers.1.self_attn.scaling is 1.5, its config makes 0.35": lambda model: setattr(
        model.model.layers[1].self_attn, "scaling", 1.5
    ),
    "model.layers.0.forward was replaced": _forward,
    "layers.0.input_layernorm.variance_epsilon is 0.5, its config makes 1e-06": lambda model: setattr(
        model.model.layers[0].input_layernorm, "variance_epsilon", 0.5
    ),
    "rotary_emb.inv_freq holds other numbers than its config makes": lambda model: model.model.rotary_emb.inv_freq.mul_(
        2
    ),
    "self_attn.k_proj is a ParametrizedLinear, its config makes a Linear": lambda model: (
        parametrize.register_parametrization(model.model.layers[0].self_attn.k_proj, "weight", Doubling())
    ),
    "self_attn.v_proj has a forward hook (": lambda model: prune.random_unstructured(
        model.model.layers[0].self_attn.v_proj, "weight", 0.5
    ),
}


@pytest.mark.parametrize("reason", CHANGES)
def test_what_was_done_to_a_model_is_kept(reason: str) -> None:
    model = llama()
    CHANGES[reason](model)
    if "has a forward hook (" in reason:  # pruning is a module with a parameter of its own as well
        reason = reason.rpartition("(")[0] if "v_proj" not in reason else "self_attn.v_proj"
    assert_right(attnviz.load((model, TOKENIZER)), model, reason)


@pytest.mark.parametrize(
    "reason", [reason for reason in CHANGES if "o_proj" in reason or "replaced" in reason or "inv" in reason]
)
def test_what_is_done_to_a_model_later_is_followed(reason: str) -> None:
    model = llama()
    mine = attnviz.load((model, TOKENIZER))
    before = mine.attend(TEXT)
    assert before.backend == "native"
    CHANGES[reason](model)
    found = mine.attend(TEXT)
    np.testing.assert_allclose(found.weights, own(model), atol=1e-5)
    assert (found.backend, mine.reason != "") == ("hosted", True)
    assert np.abs(found.weights - before.weights).max() > 1e-3


def _replaced(model: Any) -> None:
    proj = model.model.layers[0].self_attn.v_proj
    proj.weight = nn.Parameter(proj.weight.detach() * 2)


CHANGED_VALUES: dict[str, Callable[[Any], Any]] = {
    "load_state_dict": lambda model: model.load_state_dict(
        {name: tensor * 1.5 for name, tensor in model.state_dict().items()}
    ),
    "data replaced": lambda model: setattr(
        model.model.layers[0].self_attn.v_proj.weight, "data", model.model.layers[0].self_attn.v_proj.weight.data * 2
    ),
    "data written to": lambda model: model.model.layers[0].self_attn.q_proj.weight.data[:8].zero_(),
    "parameter replaced": _replaced,
}


@pytest.mark.parametrize("change", CHANGED_VALUES)
def test_values_are_followed(change: str) -> None:
    for make, dtype in ((llama, "float32"), (llama, "float64"), (dots1, "float64")):
        model = make()
        mine = attnviz.load((model, TOKENIZER), dtype=dtype)
        before = mine.attend(TEXT).weights
        CHANGED_VALUES[change](model)
        found = mine.attend(TEXT)
        assert found.backend == ("native" if make is llama else "hosted")
        np.testing.assert_allclose(found.weights, own(model), atol=1e-5)
        assert np.abs(found.weights - before).max() > 1e-3


@pytest.mark.parametrize("train", [False, True])
def test_a_model_as_transformers_makes_it_is_native(train: bool) -> None:
    model = llama(attention_dropout=0.5).train(train)
    own(model)  # transformers leaves hooks of its own
    state = torch.get_rng_state()
    assert_right(attnviz.load((model, TOKENIZER)), model)
    assert model.training is train
    assert torch.equal(torch.get_rng_state(), state)


def test_rearranged_layers_are_shown_where_they_are() -> None:
    model = llama()
    first, second = model.model.layers
    model.model.layers = nn.ModuleList([second, first])
    assert_right(attnviz.load((model, TOKENIZER)), model, "layers.0.self_attn.layer_idx is 1, its config makes 0")


def test_a_vocabulary_that_was_resized_is_no_change() -> None:
    model = llama()
    model.resize_token_embeddings(200)
    assert_right(attnviz.load((model, TOKENIZER)), model)


def test_a_model_in_float64_is_checked_in_it() -> None:
    for change in (lambda _: None, _steering):
        model = llama().double()
        change(model)
        mine = attnviz.load((model, TOKENIZER), dtype="float64")
        np.testing.assert_allclose(mine.attend(TEXT).weights, own(model), atol=1e-5)
        assert mine.check(TEXT).max_abs_diff <= 1e-10


def test_rotary_angles_that_lost_bits_are_kept() -> None:
    model = llama().bfloat16()  # its angles are bfloat16 as well
    mine = attnviz.load((model, TOKENIZER))
    mine.attend(TEXT)
    assert "inv_freq holds other numbers" in mine.reason
    loaded = llama(dtype="bfloat16")
    for parameter in loaded.parameters():
        parameter.data = parameter.data.bfloat16()
    assert not attnviz.load((loaded, TOKENIZER)).reason


def test_classes_of_somebody_elses_are_hosted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(transformers.LlamaForCausalLM):
        def forward(self, input_ids: Any = None, **named: Any) -> Any:
            return super().forward(input_ids.flip(1), **named)

    model = Mine(transformers.LlamaConfig(**CONFIG)).eval()
    tiny.randomise(model)
    assert_right(attnviz.load((model, TOKENIZER)), model, "Mine is not transformers' own class")
    norm = transformers.models.llama.modeling_llama.LlamaRMSNorm
    monkeypatch.setattr(norm, "forward", lambda self, x: self.weight * x)
    model = llama()
    assert_right(attnviz.load((model, TOKENIZER)), model, "LlamaRMSNorm.forward is not transformers' own function")


def test_what_the_outermost_module_does_counts() -> None:
    model = llama()
    model.register_forward_pre_hook(
        lambda _, given, named: (given, named | {"input_ids": named["input_ids"].flip(1)}), with_kwargs=True
    )
    assert_right(attnviz.load((model, TOKENIZER)), model, "LlamaForCausalLM has a forward hook")
    model, whole = llama(), transformers.LlamaForCausalLM.forward
    model.forward = lambda input_ids=None, **named: whole(model, input_ids, **named).logits
    with pytest.raises(UnsupportedModel, match=r"\(Tensor\) has no hidden states.*\n.*load\(\(model.base_model"):
        attnviz.load((model, TOKENIZER)).attend(TEXT)
    attnviz.load((model.base_model, TOKENIZER)).attend(TEXT)


def test_a_model_is_copied_and_pickled_with_what_it_has_run(tiny_llama: Path) -> None:
    changed = llama()
    changed.model.layers[0].self_attn.scaling = 1.5
    for mine in (attnviz.load((changed, TOKENIZER)), attnviz.load(tiny_llama)):
        found = mine.attend(TEXT)
        for other in (pickle.loads(pickle.dumps(mine)), copy.deepcopy(mine)):
            np.testing.assert_array_equal(other.attend(TEXT).weights, found.weights)


def test_two_threads_get_right_records() -> None:
    model = dots1()
    first, second = attnviz.load((model, TOKENIZER)), attnviz.load((model.model, TOKENIZER))
    right, before = own(model), (model.config._attn_implementation, model.config.use_cache)
    wrong: list[Any] = []

    def go(mine: Any) -> None:
        try:
            for _ in range(6):
                wrong.extend([None] * (not np.allclose(mine.attend(TEXT).weights, right, atol=1e-5)))
            wrong.extend([None] * (not mine.check(TEXT, float64=True).passed))
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=go, args=(mine,)) for mine in (first, second, first)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert (model.config._attn_implementation, model.config.use_cache) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_model_is_not_left_changed(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    model = dots1().train()
    mine = attnviz.load((model, TOKENIZER))
    assert mine.attend(TEXT, generate=2).encoding.generated == 2
    before = [(name, dict(vars(module))) for name, module in model.named_modules()]
    settings = model.config._attn_implementation, model.config.use_cache, model.training
    monkeypatch.setattr(kernel, "attend", fail)
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else UnsupportedModel):
        mine.attend(TEXT)
    monkeypatch.undo()
    monkeypatch.setattr(type(model.model.layers[0]), "forward", fail)
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else UnsupportedModel):
        mine.attend(TEXT, generate=2)
    assert (model.config._attn_implementation, model.config.use_cache, model.training) == settings
    assert [(name, dict(vars(module))) for name, module in model.named_modules()] == before
