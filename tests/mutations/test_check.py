"""Breaks that the check must find in what is shown of a short text: each is patched in, and the real command runs.

Every break is proven to be one: without it the same command ends with 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from attnviz.attention import kernel
from attnviz.attention.window import KeyWindow
from attnviz.interface import Model
from attnviz.model.architecture import position
from attnviz.model.hosted import masks
from attnviz.model.native import forward, weights
from attnviz.model.native import run as runs
from attnviz.record import AttentionRecord, EncoderDecoderRecord
from tests import tiny
from tests.cli.conftest import Run

TEXT = "The bank approved the loan."
BOTH = ("tiny_llama", "tiny_hosted")
"""A model that is run natively, and one that is hosted."""
Patch = pytest.MonkeyPatch


@pytest.fixture
def caught(run: Run, request: pytest.FixtureRequest) -> Callable[..., None]:
    """Whether ``show`` of a model, with more ``arguments``, ends with the code of a failed check."""

    def caught(model: str | Path, *arguments: object) -> None:
        folder = request.getfixturevalue(model) if isinstance(model, str) else model
        target = ("--target", "the loan") if model == "tiny_t5" and "--generate" not in arguments else ()
        result = run("show", TEXT, "-m", folder, *target, *arguments)
        assert result.code == 5, result.said
        assert result.said.startswith(("✗", "hosted:"))
        assert "✗ attnviz" in result.said
        assert "✓" not in result.out

    return caught


@pytest.mark.parametrize(
    ("model", "more"),
    [("tiny_llama", ("--dtype", "bfloat16")), ("tiny_hosted", ("--dtype", "float16"))]
    + [("tiny_bert", ("--dtype", "float16")), ("tiny_t5", ("--dtype", "bfloat16"))]
    + [(model, ("--generate", 3)) for model in ("tiny_llama", "tiny_t5", "tiny_hosted")],
    ids=str,
)
def test_what_is_right_passes(model: str, more: tuple[object, ...], run: Run, request: pytest.FixtureRequest) -> None:
    result = run("show", TEXT, "-m", request.getfixturevalue(model), *more)
    assert (result.code, "✓" in result.out) == (0, True), result.said


def attention(patch: Patch, wrong: Callable[..., Any]) -> None:
    """Put ``wrong`` in the place of our kernel, in both ways; it is given the right one first."""
    right = kernel.attend

    def attend(*qkv: Tensor, **facts: Any) -> Any:
        return wrong(right, *qkv, **facts)

    patch.setattr(kernel, "attend", attend)
    patch.setattr(runs, "attend", attend)


# The record after the run


@pytest.mark.parametrize("model", ["tiny_t5", "tiny_hosted"])
def test_mutation_two_heads_are_swapped_in_the_record_after_the_run(
    model: str, caught: Callable[..., None], monkeypatch: Patch
) -> None:
    attend = Model._attend

    def swap(found: AttentionRecord) -> AttentionRecord:
        order = [1, 0, *range(2, found.heads)]
        return replace(found, weights=found.weights[:, order])

    def swapped(self: Model, *given: Any, **more: Any) -> Any:
        found = attend(self, *given, **more)
        if isinstance(found, EncoderDecoderRecord):
            return replace(found, cross=swap(found.cross))
        return swap(found)

    monkeypatch.setattr(Model, "_attend", swapped)
    caught(model)


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_t5"])
def test_mutation_the_last_layer_is_scaled_where_it_is_only_shown(
    model: str, caught: Callable[..., None], monkeypatch: Patch
) -> None:
    look = forward.Network._look

    def wrong(self: forward.Network, i: int, spec: Any, layer: Any, *given: Any) -> Tensor:
        if layer.cross:
            layer = replace(layer, cross=replace(layer.cross, scale=layer.cross.scale * 1.3))
        else:
            spec = replace(spec, scale=spec.scale * 1.3)
        return look(self, i, spec, layer, *given)

    monkeypatch.setattr(forward.Network, "_look", wrong)
    caught(model)


# What the model writes


@pytest.mark.parametrize("model", ["tiny_llama", "tiny_t5"])
def test_mutation_the_rows_of_the_language_head_are_shifted(
    model: str, caught: Callable[..., None], monkeypatch: Patch
) -> None:
    take = weights.take_head

    def shifted(*given: Any) -> Any:
        head = take(*given)
        return replace(head, matrix=head.matrix.roll(1, 0))

    monkeypatch.setattr(weights, "take_head", shifted)
    caught(model, "--generate", 3)


# Types of numbers


@pytest.mark.parametrize("model", BOTH)
def test_mutation_the_scale_is_wrong_in_float32_only(
    model: str, caught: Callable[..., None], monkeypatch: Patch
) -> None:
    def wrong(right: Any, q: Tensor, *kv: Tensor, scale: float, **facts: Any) -> Any:
        return right(q, *kv, scale=scale * (1.05 if q.dtype is torch.float32 else 1), **facts)

    attention(monkeypatch, wrong)
    caught(model)


@pytest.mark.parametrize(("model", "dtype"), [(BOTH[0], torch.bfloat16), (BOTH[1], torch.float16)], ids=str)
def test_mutation_half_precision_is_wrong_by_half(
    model: str, dtype: torch.dtype, caught: Callable[..., None], monkeypatch: Patch
) -> None:
    def wrong(right: Any, q: Tensor, *kv: Tensor, scale: float, **facts: Any) -> Any:
        return right(q, *kv, scale=scale * (0.5 if q.dtype is dtype else 1), **facts)

    attention(monkeypatch, wrong)
    caught(model, "--dtype", str(dtype).removeprefix("torch."))


def test_mutation_bfloat16_weights_are_half_of_what_they_are_in_one_head(
    caught: Callable[..., None], monkeypatch: Patch
) -> None:
    attend = Model._attend

    def halved(self: Model, *given: Any, **more: Any) -> Any:
        found = attend(self, *given, **more)
        found.weights[1, 2] *= 0.5
        return found

    monkeypatch.setattr(Model, "_attend", halved)
    caught("tiny_llama", "--dtype", "bfloat16")


# Breaks of the forward pass, the kernel and the hosted way


def scale(right: Any, *qkv: Tensor, scale: float, **facts: Any) -> Any:
    return right(*qkv, scale=scale * 1.05, **facts)


def heads(right: Any, q: Tensor, k: Tensor, v: Tensor, **facts: Any) -> Any:
    """The queries of two heads change places."""
    return right(q[[1, 0, *range(2, len(q))]], k, v, **facts)


def key(right: Any, q: Tensor, k: Tensor, v: Tensor, **facts: Any) -> Any:
    """Each weight is that of the key before."""
    return right(q, k.roll(1, 1), v, **facts)


def mixing(right: Any, *qkv: Tensor, **facts: Any) -> Any:
    """What goes on to the next layer is not what the weights make of the values."""
    return right(*qkv, **facts) * 1.05


@pytest.mark.parametrize("wrong", [scale, heads, key, mixing], ids=lambda wrong: str(wrong.__name__))
@pytest.mark.parametrize("model", BOTH)
def test_mutation_the_kernel(model: str, wrong: Any, caught: Callable[..., None], monkeypatch: Patch) -> None:
    attention(monkeypatch, wrong)
    caught(model)


@pytest.mark.parametrize("model", BOTH)
def test_mutation_later_keys_are_seen(model: str, caught: Callable[..., None], monkeypatch: Patch) -> None:
    def wrong(right: Any, *qkv: Tensor, window: KeyWindow, **facts: Any) -> Any:
        return right(*qkv, window=dataclasses.replace(window, right=None), **facts)

    attention(monkeypatch, wrong)
    caught(model)


@pytest.mark.parametrize("kind", ["native", "hosted"])
def test_mutation_a_window_is_one_key_wider(
    kind: str, caught: Callable[..., None], monkeypatch: Patch, tmp_path: Path
) -> None:
    folder = tiny.hosted(tmp_path, sliding_window=4) if kind == "hosted" else tiny.mistral(tmp_path, sliding_window=4)

    def wrong(right: Any, *qkv: Tensor, window: KeyWindow, **facts: Any) -> Any:
        behind = None if window.left is None else window.left + 1
        return right(*qkv, window=dataclasses.replace(window, left=behind), **facts)

    attention(monkeypatch, wrong)
    caught(folder)


def test_mutation_a_mask_of_transformers_is_read_wrongly(
    caught: Callable[..., None], monkeypatch: Patch, tmp_path: Path
) -> None:
    see = masks.visibility_of_rows

    def wrong(*facts: Any) -> masks.Visibility:
        found = see(*facts)
        assert found.window is not None
        return replace(found, window=KeyWindow(None, found.window.right))

    monkeypatch.setattr(masks, "visibility_of_rows", wrong)
    caught(tiny.hosted(tmp_path, sliding_window=4))


def test_mutation_the_angles_have_another_base(caught: Callable[..., None], monkeypatch: Patch) -> None:
    turns = position.rotary_factors

    def wrong(rotary: Any, *given: Any) -> Any:
        return turns(replace(rotary, theta=rotary.theta * 1.1), *given)

    monkeypatch.setattr(position, "rotary_factors", wrong)
    caught("tiny_llama")


def test_mutation_positions_begin_at_one(caught: Callable[..., None], monkeypatch: Patch) -> None:
    rows = position.position_rows
    monkeypatch.setattr(position, "position_rows", lambda ids, positions, spec: rows(ids, positions + 1, spec))
    caught("tiny_bert")


def test_mutation_a_bias_is_left_out(caught: Callable[..., None], monkeypatch: Patch) -> None:
    linear = forward.Network._linear

    def wrong(self: forward.Network, at: str, x: Tensor, *number: int | None) -> Tensor:
        bias = self.tensors.get(f"{at}.bias")
        made = linear(self, at, x, *number)
        return made - bias if bias is not None and at.endswith("query") else made

    monkeypatch.setattr(forward.Network, "_linear", wrong)
    caught("tiny_bert")


def test_mutation_norms_add_too_much_to_the_variance(caught: Callable[..., None], monkeypatch: Patch) -> None:
    norm = forward.Network._norm
    monkeypatch.setattr(
        forward.Network, "_norm", lambda self, at, spec, x: norm(self, at, replace(spec, eps=spec.eps + 1e-2), x)
    )
    caught("tiny_bert")


def test_mutation_two_layers_change_places(caught: Callable[..., None], monkeypatch: Patch) -> None:
    layer = forward.Network._layer
    monkeypatch.setattr(forward.Network, "_layer", lambda self, i, *given: layer(self, i ^ 1, *given))
    caught("tiny_bert")
