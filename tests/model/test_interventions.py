"""Interventions: one mechanism in the kernel, alike in one run, in many variants at once, and in hosted models."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

import attnviz
from attnviz.attention.interventions import Cut, Freeze, Intervention, Mean, Patch, Zero
from attnviz.attention.observers import Weights
from attnviz.attention.observers.changed import KeptContexts
from attnviz.errors import InputError, UsageError
from tests import tiny
from tests.model.test_classifiers import made, tokenizer
from tests.model.variants import all_variants

FAMILIES = sorted({family for family, _ in all_variants()})


def whole_model(family: str) -> Any:
    each = next(each for (one, _), each in all_variants().items() if one == family)
    return made(each.model, each.config)


def opened(family: str) -> Any:
    model = attnviz.load((whole_model(family), tokenizer()), dtype="float64")
    assert model.backend.name == "native"
    return model


def read(model: Any) -> tuple[Any, Any]:
    """A text and, for an encoder–decoder, what the decoder reads."""
    encoding = model.encode(tiny.SENTENCE)
    return encoding, model.encode("The river had the loan") if "cross" in model.backend.kinds else None


def some(model: Any, encoding: Any, target: Any) -> list[list[Intervention]]:
    """Variants of every sort, alone and together, in the first layer, the last, and all."""
    kept = KeptContexts()
    model.backend.run(encoding, [kept], target)
    variants: list[list[Intervention]] = [[]]
    for kind, layers in kept.found.items():
        first, last = min(layers), max(layers)
        for layer in (first, last):
            context = layers[layer]
            heads, n, _ = context.shape
            m = n if kind != "cross" else len(encoding)
            variants += [
                [Zero(layer, heads - 1, kind)],
                [Mean(layer, 0, kind, values=context[0].mean(0))],
                [Patch(layer, 0, kind, values=context[0].flip(0))],
                [Freeze(layer, heads - 1, kind)],
                [Freeze(layer, 0, kind, pattern=torch.softmax(torch.randn(n, m, dtype=torch.float64), -1))],
                [Cut(layer, 0, kind, queries=(n - 1,), keys=(0, 2))],
                [Zero(first, 0, kind), Freeze(last, heads - 1, kind), Cut(kind=kind, keys=(1,), renormalise=False)],
            ]
    if len(kept.found) > 1:
        variants.append([Zero(0, 0), Zero(1, 1)])  # encoder, decoder and cross-attention together
    return variants


@pytest.mark.parametrize("family", FAMILIES)
def test_variants_at_once_are_runs_one_by_one(family: str) -> None:
    model = opened(family)
    encoding, target = read(model)
    variants = some(model, encoding, target)
    together = dict(model.backend.run_variants(encoding, variants, target))
    assert sorted(together) == list(range(len(variants)))
    plain = model.backend.run(encoding, (), target)
    changed = 0
    for number, interventions in enumerate(variants):
        with model.backend.intervened(interventions):
            alone = model.backend.run(encoding, (), target)
        assert (together[number] - alone).abs().max() < 1e-10
        changed += bool((alone - plain).abs().max() > 1e-6)
    assert changed > len(variants) * 0.7  # a narrow window may hide the link that is cut
    assert torch.equal(model.backend.run(encoding, (), target), plain)
    assert (together[0] - plain).abs().max() < 1e-10


@pytest.mark.parametrize("family", ["bert", "llama", "gemma2", "t5"])
def test_what_equals_the_run_changes_nothing(family: str) -> None:
    """A head's own weights and outputs in its place, in float64."""
    model = opened(family)
    encoding, target = read(model)
    kept, weights = KeptContexts(), Weights(model.backend.layers)
    plain = model.backend.run(encoding, (), target)
    model.backend.run(encoding, [kept, weights], target)
    for kind, layers in kept.found.items():
        for layer, context in layers.items():
            for each in (
                Patch(layer, 0, kind, values=context[0]),
                Patch(layer, None, kind, values=context),
                Freeze(layer, 0, kind, pattern=weights.layer(layer, kind)[0]),
                Freeze(layer, None, kind, pattern=weights.layer(layer, kind)),
            ):
                with model.backend.intervened([each]):
                    assert (model.backend.run(encoding, (), target) - plain).abs().max() < 1e-12


@pytest.mark.parametrize("family", ["bert", "gpt2", "qwen3"])
def test_zero_is_a_head_whose_output_matrix_is_zero(family: str) -> None:
    theirs = whole_model(family)
    model = attnviz.load((theirs, tokenizer()), dtype="float64")
    encoding = model.encode(tiny.SENTENCE)
    layer = model.backend.network.spec.layers[1].attention
    with model.backend.intervened([Zero(1, 1)]):
        ours = model.backend.run(encoding)
    weight = model.backend.network.tensors["layers.1.attention.output.weight"]
    with torch.inference_mode():
        weight[:, layer.head_size : 2 * layer.head_size] = 0
    assert (model.backend.run(encoding) - ours).abs().max() < 1e-12


def test_observers_see_what_was_put_in_the_place_of_weights() -> None:
    model = opened("llama")
    encoding = model.encode(tiny.SENTENCE)
    weights, plain = Weights(model.backend.layers), Weights(model.backend.layers)
    model.backend.run(encoding, [plain])
    cut = Cut(0, 1, queries=(5,), keys=(0, 2))
    with model.backend.intervened([cut, Freeze(1, 2)]):
        model.backend.run(encoding, [weights])
    ours, theirs = weights.layer(0), plain.layer(0).clone()
    theirs[1, 5, [0, 2]] = 0
    theirs[1, 5] /= theirs[1, 5].sum()
    assert (ours - theirs).abs().max() < 1e-12
    n = len(encoding)
    even = torch.tril(torch.ones(n, n, dtype=torch.float64))
    assert (weights.layer(1)[2] - even / even.sum(-1, keepdim=True)).abs().max() < 1e-12


def test_long_texts_go_through_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    model = opened("gemma2")
    encoding = model.encode(tiny.SENTENCE)
    variants = some(model, encoding, None)
    whole = dict(model.backend.run_variants(encoding, variants))
    monkeypatch.setattr("attnviz.model.native.variants.fits_tile", lambda *_: False)
    monkeypatch.setattr("attnviz.model.native.variants._TOKENS", 40)
    alone = dict(model.backend.run_variants(encoding, variants))
    assert all((whole[i] - alone[i]).abs().max() < 1e-10 for i in range(len(variants)))


@pytest.mark.parametrize("kind", ["decoder", "hosted"])
def test_hosted_models_and_native_ones_agree(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = whole_model("llama" if kind == "hosted" else "t5")
    native = attnviz.load((theirs, tokenizer()), dtype="float64")
    encoding, target = read(native)
    variants = some(native, encoding, target)
    monkeypatch.setattr("attnviz.model.backends.hosted_reason", lambda _: "a test")
    hosted = attnviz.load((theirs, tokenizer()), dtype="float64")
    assert hosted.backend.name == "hosted"
    ours = dict(native.backend.run_variants(encoding, variants, target))
    found: dict[int, Tensor] = dict(hosted.backend.run_variants(encoding, variants, target))
    assert all((ours[i] - found[i]).abs().max() < 1e-9 for i in range(len(variants)))


def test_values_of_another_length_are_refused() -> None:
    model = opened("gpt2")
    encoding = model.encode(tiny.SENTENCE)
    kept = KeptContexts()
    model.backend.run(model.encode("The bank"), [kept])
    with (
        model.backend.intervened([Patch(0, 0, values=kept.found["self"][0][0])]),
        pytest.raises(InputError, match=r"a text of \d+ tokens, and this one has \d+"),
    ):
        model.backend.run(encoding)
    assert model.backend.interventions == ()


def test_what_is_no_intervention_is_refused() -> None:
    model = opened("llama")
    wrong: list[tuple[Any, str]] = [
        ("5.7", "no intervention"),
        (Zero(9, 0), "no layer 9: this model has layers 0–"),
        (Zero(0, 99), "layer 0 has no head 99"),
        (Zero(0, -1), "no head -1"),
        (Zero(0, 0, "cross"), "no cross attention"),
    ]
    for each, said in wrong:
        with pytest.raises(UsageError, match=said), model.intervene(each):
            pass
    with pytest.raises(UsageError, match="Mean has no `values`"):
        Mean(0, 0)
    with pytest.raises(UsageError, match="shape"):
        Freeze(0, 0, pattern=[1.0])
    with model.intervene(Mean(0, 0, values=[1.0, 2.0, 3.0])), pytest.raises(UsageError, match="write 3 numbers"):
        model.attend(tiny.SENTENCE)


def test_heads_that_a_hosted_model_does_not_have_are_refused(tmp_path: Any) -> None:
    model = attnviz.load(tiny.hosted(tmp_path))
    assert model.backend.name == "hosted"
    for each in (Zero(0, 99), Freeze(0, 99), Zero(None, 99), Zero(9, 0)):
        with model.intervene(each), pytest.raises(UsageError, match=r"has no head 99|no layer 9"):
            model.attend(tiny.SENTENCE)


def test_values_may_be_arrays_and_lists() -> None:
    model = opened("llama")
    plain = model.attend(tiny.SENTENCE)
    with model.intervene(Freeze(1, 0, pattern=plain.weights[1, 0]), Mean(0, 0, values=[0.0] * 8)):
        frozen = model.attend(tiny.SENTENCE)
    with model.intervene(Zero(0, 0)):
        zeroed = model.attend(tiny.SENTENCE)
    assert (frozen.weights[1, 0] == plain.weights[1, 0]).all()
    assert (frozen.weights[1, 1] == zeroed.weights[1, 1]).all()
    assert (frozen.weights[1, 1] != plain.weights[1, 1]).any()


def test_what_is_changed_is_not_checked() -> None:
    model = opened("llama")
    with model.intervene(Zero(0, 0)):
        with pytest.raises(UsageError, match="heads are changed here"):
            model.check(tiny.SENTENCE)
        with pytest.raises(UsageError, match="heads are changed here"):
            model.check(input_ids=[[2, 90, 91, 3]])
        found = [model.attend(tiny.SENTENCE), model.observe(tiny.SENTENCE, evidence=True)]
    for each in found:
        assert each.note == "heads were changed by interventions"
        with pytest.raises(UsageError, match="heads were changed"):
            model.check_record(each)
    assert model.check(tiny.SENTENCE).passed
    assert not model.attend(tiny.SENTENCE).note


@pytest.mark.parametrize("hosted", [False, True])
def test_other_threads_are_not_changed(hosted: bool, tmp_path: Any) -> None:
    model = attnviz.load(tiny.hosted(tmp_path)) if hosted else opened("llama")
    plain = model.attend(tiny.SENTENCE).weights
    with ThreadPoolExecutor(1) as pool, model.intervene(Zero(0, 0)):
        assert (pool.submit(model.attend, tiny.SENTENCE).result().weights == plain).all()
        assert (model.attend(tiny.SENTENCE).weights != plain).any()


def test_padded_rows_are_changed_too() -> None:
    model = attnviz.load((whole_model("gpt2"), tokenizer()))  # counts padding: transformers runs its rows
    row = {"input_ids": [[0, 0, 2, 90, 91, 92]], "attention_mask": [[0, 0, 1, 1, 1, 1]]}
    plain = model.attend(**row)[0].weights
    with model.intervene(Freeze(0)):
        assert (model.attend(**row)[0].weights[0] != plain[0]).any()


def test_a_cut_key_leaves_what_a_softmax_without_it_gives_with_a_sink_too() -> None:
    from attnviz.attention.kernel import attend

    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 6, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    sinks = torch.tensor([0.5, -1.0], dtype=torch.float64)
    for given in (None, sinks):
        found = attend(q, k, v, scale=0.5, sinks=given, interventions=[Cut(keys=(1, 4))])
        scores = 0.5 * q @ k.mT
        scores[..., [1, 4]] = -torch.inf
        column = scores.new_full((2, 6, 1), -torch.inf) if given is None else given[:, None, None].expand(-1, 6, 1)
        weights = torch.cat((scores, column), -1).softmax(-1)[..., :-1]
        assert (found - weights @ v).abs().max() < 1e-12
