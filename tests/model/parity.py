"""What the parity tests share: both forward passes, how they are compared, and how exact theirs can be made."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from attnviz.model.forward import Network
from attnviz.model.observers import HiddenStates, Weights

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}
DTYPES = tuple(TOLERANCES)

Result = tuple[Tensor, Tensor]
"""Weights (L, H, N, M) and hidden states (L + 1, T, C)."""


class _Double(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        if func is Tensor.float:
            func = Tensor.double
        args = tuple(torch.float64 if value is torch.float32 else value for value in args)
        named = {name: torch.float64 if value is torch.float32 else value for name, value in (kwargs or {}).items()}
        return func(*args, **named)


@contextlib.contextmanager
def precision(dtype: torch.dtype) -> Iterator[None]:
    """Let transformers compute in ``dtype`` throughout.

    Its models do their norms, angles and softmax in float32 even where the model is in float64; inside, for
    float64, whatever asks for float32 gets float64. Models must be made inside too: they keep their angles.
    """
    if dtype is not torch.float64:
        yield
        return
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Double():
            yield
    finally:
        torch.set_default_dtype(before)


def theirs(model: Any, ids: Sequence[int], type_ids: Sequence[int] | None = None) -> Result:
    """What the transformers model, which must be eager, says itself."""
    assert model.config._attn_implementation == "eager"
    inputs = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
    if type_ids is not None:
        inputs["token_type_ids"] = torch.tensor([type_ids])
    with torch.inference_mode():
        output = model(**inputs, output_attentions=True, output_hidden_states=True)
    return torch.cat(output.attentions), torch.cat(output.hidden_states)


def ours(network: Network, ids: Sequence[int], type_ids: Sequence[int] | None = None) -> Result:
    """What our forward pass says."""
    weights, states = Weights(), HiddenStates()
    network(ids, type_ids or [0] * len(ids), [weights, states])
    return weights.stacked(), states.stacked()


def assert_same(mine: Result, other: Result, dtype: torch.dtype) -> None:
    """Every weight is the same within the tolerance of ``dtype``, every state within it of the layer's largest."""
    for name, a, b in zip(("weights", "states"), mine, other, strict=True):
        assert a.dtype == b.dtype == dtype, f"{name}: {a.dtype} and {b.dtype}"
        assert a.shape == b.shape, f"{name}: {tuple(a.shape)} and {tuple(b.shape)}"
    apart = (mine[0] - other[0]).abs().amax((-2, -1))  # (L, H)
    assert bool((apart <= TOLERANCES[dtype]).all()), f"weights differ per layer and head by\n{apart}"
    apart = (mine[1] - other[1]).abs().amax((-2, -1)) / other[1].abs().amax((-2, -1)).clamp(min=1)  # (L + 1,)
    assert bool((apart <= TOLERANCES[dtype]).all()), f"hidden states differ per layer by\n{apart}"


def assert_telling(weights: Tensor) -> None:
    """No layer is near uniform, where every kernel is right, nor near one-hot, where only the argmax counts."""
    spread = entropy(weights)
    assert bool((spread < 0.9).all()), f"near uniform: {spread}"
    assert bool((spread > 0.1).all()), f"near one-hot: {spread}"


def entropy(weights: Tensor) -> Tensor:
    """Normalised entropy per layer (L,), over the queries that see more than one key."""
    seen = (weights > 0).sum(-1)  # (L, H, N)
    rows = torch.special.entr(weights).sum(-1) / seen.clamp(min=2).log()
    return (rows * (seen > 1)).sum((1, 2)) / (seen > 1).sum((1, 2))
