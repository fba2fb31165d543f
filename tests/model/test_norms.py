"""Where information comes from: norms of values and value zeroing, against transformers' own layers in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attnviz
from attnviz.attention.observers import HiddenStates, KeptValues, Weights
from attnviz.errors import InputError, UsageError
from attnviz.interface import EncoderDecoder
from attnviz.record import Request, read
from tests import tiny
from tests.model.test_classifiers import made, tokenizer
from tests.model.variants import all_variants

FAMILIES = (
    "bert",
    "gpt2",
    "llama",
    "phi",
    "qwen3",
    "falcon",
    "olmo2",
    "gemma2",
    "gemma4_text",
    "modernbert",
    "gptj",
    "mpt",
)
"""Pre-norms and post-norms, groups, one key head, biases and none."""


def whole_model(family: str) -> Any:
    each = next(each for (one, _), each in all_variants().items() if one == family)
    return made(each.model, each.config)


def seen_in(model: Any, encoding: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """What each linear map, each norm and each layer gives in a run, by its name; states are ``states.0`` and so on."""
    network, found, states = model.backend.network, dict[str, Tensor](), HiddenStates()
    for name in ("_linear", "_norm"):
        plain = getattr(network, name)

        def spy(at: str, *rest: Any, plain: Any = plain) -> Tensor:
            found[at] = plain(at, *rest).clone()
            return found[at].clone()

        monkeypatch.setattr(network, name, spy)
    model.backend.run(encoding, [states])
    monkeypatch.undo()
    return found | {f"states.{i}": each for i, each in enumerate(states.each())}


def kept(model: Any, text: str = tiny.SENTENCE) -> tuple[Any, KeptValues, Weights]:
    encoding, values, weights = model.encode(text), KeptValues(), Weights()
    model.backend.run(encoding, [values, weights])
    return encoding, values, weights


@pytest.mark.parametrize("family", FAMILIES)
def test_what_heads_make_of_all_tokens_is_the_output_of_the_attention(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Σ_h Σ_j A[h, i, j] f_h(x_j) + b_O (Kobayashi et al. 2020), with groups, biases and every kind of norm."""
    model = attnviz.load((whole_model(family), tokenizer()), dtype="float64")
    encoding, values, weights = kept(model)
    assert model.backend.name == "native"
    seen = seen_in(model, encoding, monkeypatch)
    for layer, each in values.found["self"].items():
        a, output = weights.layer(layer), seen[f"layers.{layer}.attention.output"]
        f = torch.stack([each.made(head) for head in range(each.heads)])
        total = torch.einsum("hnm,hmc->nc", a, f) + (0 if each.bias is None else each.bias)
        assert (total - output).abs().max() < 1e-9
        assert (each.mixed(a) - output).abs().max() < 1e-9


@pytest.mark.parametrize("family", ["bert", "llama", "gpt2"])
def test_norms_are_those_of_the_vectors(family: str) -> None:
    model = attnviz.load((whole_model(family), tokenizer()), dtype="float64")
    _, values, weights = kept(model)
    att, summed = (model.attend(tiny.SENTENCE, weights=name) for name in ("norm", "norm+heads"))
    assert (att.measure, summed.measure, summed.shape[1]) == ("norm", "norm+heads", 1)
    np.testing.assert_array_equal(att.below.weights, weights.stacked().numpy())
    for layer in range(att.layers):
        each, a = values.found["self"][layer], weights.layer(layer)
        f = torch.stack([each.made(head) for head in range(each.heads)])
        vectors = a[..., None] * f[:, None]  # (H, N, M, C)
        assert np.abs(att.weights[layer] - vectors.norm(dim=-1).numpy()).max() < 1e-9
        assert np.abs(summed.weights[layer, 0] - vectors.sum(0).norm(dim=-1).numpy()).max() < 1e-9


@pytest.mark.parametrize("family", ["bert", "olmo2", "gemma2", "granite", "llama", "gptj"])
def test_parts_with_the_residual_make_the_normed_sum(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of all tokens, and those of the biases, are what the model has after the norm (2021)."""
    model = attnviz.load((whole_model(family), tokenizer()), dtype="float64")
    encoding, values, weights = kept(model)
    att, seen = model.attend(tiny.SENTENCE, weights="norm+residual"), seen_in(model, encoding, monkeypatch)
    tensors, n = model.backend.network.tensors, len(encoding)
    for layer in range(att.layers):
        at, each, x = f"layers.{layer}.attention", values.found["self"][layer], seen[f"states.{layer}"]
        f = torch.stack([each.made(head) for head in range(each.heads)])
        parts = torch.einsum("hnm,hmc->nmc", weights.layer(layer), f)
        own, added = torch.eye(n, dtype=torch.float64)[..., None] * x, seen[f"{at}.output"]
        if family == "bert":
            gain, shift = tensors[f"{at}.norm.weight"], tensors[f"{at}.norm.bias"]
            scale = (
                (added + x).var(-1, correction=0) + model.backend.network.spec.layers[layer].norms.norm.eps
            ).rsqrt()
            parts = (parts + own - (parts + own).mean(-1, keepdim=True)) * gain * scale[:, None, None]
            bias = (each.bias - each.bias.mean()) * gain * scale[:, None] + shift
            assert (parts.sum(1) + bias - seen[f"{at}.norm"]).abs().max() < 1e-9
        else:
            after = {"olmo2": f"{at}.norm", "gemma2": f"{at}.norm_after"}.get(family)
            if after:  # an RMS norm multiplies each dimension of a token
                parts = parts * (seen[after] / added)[:, None]
            parts = parts * model.backend.network.spec.layers[layer].residual + own
        assert np.abs(att.weights[layer, 0] - parts.norm(dim=-1).numpy()).max() < 1e-9


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_zeroing_is_a_layer_of_transformers_with_a_value_of_zeros(family: str) -> None:
    theirs = whole_model(family).double()
    model = attnviz.load((theirs, tokenizer()), dtype="float64")
    ids = torch.tensor([model.encode(tiny.SENTENCE).ids])
    att = model.attend(tiny.SENTENCE, weights="zeroing")
    value = {"bert": "encoder.layer.{}.attention.self.value", "gpt2": "h.{}.attn.c_attn"}[family]
    layer, base = 0, theirs.base_model
    with torch.no_grad():
        plain = base(ids, output_hidden_states=True).hidden_states[layer + 1][0]
        for key in (0, 3, 7):

            def zero(_module: nn.Module, _input: Any, output: Tensor, key: int = key) -> Tensor:
                output = output.clone()
                output[:, key, -plain.shape[-1] :] = 0  # of q, k and v in one the last
                return output

            hook = base.get_submodule(value.format(layer)).register_forward_hook(zero)
            without = base(ids, output_hidden_states=True).hidden_states[layer + 1][0]
            hook.remove()
            expected = 1 - torch.cosine_similarity(without, plain, dim=-1)
            assert np.abs(att.weights[layer, 0, :, key] - expected.numpy()).max() < 1e-9
    assert not att.causal or not np.triu(att.weights, 1).any()


def test_a_layer_with_a_convolution_is_run_as_a_whole() -> None:
    model = attnviz.load((whole_model("deberta-v2"), tokenizer()), dtype="float64")
    att = model.attend(tiny.SENTENCE, weights="zeroing")
    assert np.isfinite(att.weights).all()
    assert att.weights.max() > 1e-4


def test_all_maps_of_an_encoder_decoder_have_norms(tmp_path: Path) -> None:
    model = attnviz.load(tiny.t5(tmp_path / "t5"))
    att = model.attend(tiny.SENTENCE, target="The bank", weights="norm")
    assert isinstance(att, EncoderDecoder)
    for each in (att.encoder, att.decoder, att.cross):
        assert each.measure == "norm"
        assert not np.allclose(each.weights.sum(-1), 1, atol=0.01)
    att.save(tmp_path / "norms.json")
    again = EncoderDecoder.open(tmp_path / "norms.json")
    assert again.cross.measure == "norm"
    with pytest.raises(UsageError, match=r"rollout follows a text through the layers of one stack"):
        model.attend(tiny.SENTENCE, target="The bank", weights="rollout")


def test_a_long_text_has_the_norms_of_a_short_one(tmp_path: Path) -> None:
    """What is observed tile by tile is what is kept, in words and tokens, links, maps and figures."""
    model = attnviz.load(tiny.llama(tmp_path))
    for unit in ("word", "token", "sentence"):
        request = Request(unit=unit, weights="norm", evidence=False, special=True, everything=True)
        seen = model.observe(tiny.SENTENCE, request=request)
        whole = model.inspect(tiny.SENTENCE, request=request)
        assert whole.whole is not None
        assert seen.measure.name == whole.measure.name == "norm"
        np.testing.assert_allclose(seen.links.weights, whole.links.weights, atol=1e-5)
        np.testing.assert_allclose(seen.maps.values, whole.maps.values, atol=1e-5)
        for name, figure in seen.figures.items():
            np.testing.assert_allclose(figure, whole.figures[name], atol=1e-4, err_msg=name)
        assert seen.figures["largest"].max() <= 1 + 1e-6  # figures are of shares of a row


@pytest.mark.parametrize("options", [{}, {"generate": 3}])
def test_the_weights_below_the_norms_of_a_long_text_are_checked(options: dict[str, Any], tmp_path: Path) -> None:
    """Rows of the very run are held to transformers; a wrong one is found."""
    model = attnviz.load(tiny.llama(tmp_path))
    found = model.observe(tiny.SENTENCE, weights="norm", **options)
    assert found.evidence is not None
    assert np.abs(np.stack([*found.evidence.rows[0].weights.values()]).sum(-1) - 1).max() < 1e-5  # no norms
    check = model.check_record(found)
    assert check.passed
    assert check.max_abs_diff < 1e-5
    found.evidence.rows[0].weights[1][0, 2, 0] += 0.01
    assert not model.check_record(found).passed


def test_windows_have_norms(tmp_path: Path) -> None:
    model = attnviz.load(tiny.bert(tmp_path / "bert"))
    text = " ".join([tiny.SENTENCE] * 12)
    request = Request(weights="norm")
    found = model.observe(text, request=request, windows=True)
    assert found.windows is not None
    assert found.links.weights.max() > 0
    assert model.check_record(found).passed


def test_records_say_what_they_hold(tmp_path: Path) -> None:
    model = attnviz.load(tiny.bert(tmp_path / "bert"))
    for name in ("norm", "rollout"):
        att = model.attend(tiny.SENTENCE, weights=name)
        for suffix in ("json", "safetensors"):
            att.save(tmp_path / f"{name}.{suffix}")
            again = read(tmp_path / f"{name}.{suffix}")
            assert again.measure == name
            np.testing.assert_array_equal(again.weights, att.weights)
        with pytest.raises(UsageError, match=f"holds {name}, and not the attention weights below"):
            model.check_record(again)
        assert model.check_record(att).passed  # which has them


def test_what_takes_too_long_or_does_not_go_is_said(tmp_path: Path) -> None:
    model = attnviz.load(tiny.bert(tmp_path / "bert"))
    with pytest.raises(UsageError, match="`weights` is 'norms', expected one of attention, norm"):
        model.attend(tiny.SENTENCE, weights="norms")
    with pytest.raises(InputError, match="rollout is made of the weights of all layers and heads"):
        model.observe(tiny.SENTENCE, weights="rollout")
    hosted = attnviz.load(tiny.hosted(tmp_path / "hosted"))
    assert hosted.attend(tiny.SENTENCE, weights="rollout").measure == "rollout"
    with pytest.raises(UsageError, match="zeroing needs the layers of attnviz's own forward pass"):
        hosted.attend(tiny.SENTENCE, weights="zeroing")


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "phi"])
def test_a_hosted_model_has_the_same_norms(family: str) -> None:
    """The matrix that heads write with is found by what it is given, whatever it is called."""
    plain = attnviz.load((whole_model(family), tokenizer()))
    encoding = plain.encode(tiny.SENTENCE)
    _, values, _ = kept(plain)
    theirs = KeptValues()
    plain.by_transformers.run(encoding, [theirs])
    assert plain.by_transformers.name == "hosted"
    for layer, each in values.found["self"].items():
        other = theirs.found["self"][layer]
        assert other.heads == each.heads
        torch.testing.assert_close(other.norms(), each.norms(), atol=1e-4, rtol=1e-4)


def test_a_model_of_experts_has_norms(tmp_path: Path) -> None:
    model = attnviz.load(tiny.hosted(tmp_path / "hosted"))
    att = model.attend(tiny.SENTENCE, weights="norm")
    assert (att.backend, att.measure) == ("hosted", "norm")
    assert model.attend(tiny.SENTENCE, weights="norm+heads").shape[1] == 1


@pytest.mark.real
def test_special_tokens_get_weight_and_give_little(real_model: Any) -> None:
    """Kobayashi et al. 2020, section 4: norms to [CLS] and [SEP] are small where weights are large."""
    text = "The bank approved the loan because the river had flooded its vault."
    att = real_model.attend(text, weights="norm")
    special = np.array(att.encoding.special)
    weights, norms = att.below.weights, att.weights / att.weights.sum(-1, keepdims=True)
    share, part = (each[..., special].sum(-1).mean(-1) for each in (weights, norms))
    assert 0.35 < share.mean() < 0.65
    assert part.mean() < 0.6 * share.mean()
    f = att.weights.sum(2) / att.below.weights.sum(2)  # ‖f(x)‖ of each head and key
    assert np.median(f[..., special]) < 0.7 * np.median(f[..., ~special])
    received = att.below.weights.mean(2)
    assert np.corrcoef(received[..., special].ravel(), f[..., special].ravel())[0, 1] < 0
