"""The check: our attention against the transformers model's own, in every layer and head.

transformers loads the same checkpoint with its eager attention and runs the same token ids; every weight is
compared. Beyond the tolerance, both sides run again in float64: rounding collapses there, a mistake stays.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from attnviz.checkpoint import Checkpoint, quiet_transformers
from attnviz.encoding import Encoding
from attnviz.errors import ModelError
from attnviz.model.native import open_network, run
from attnviz.model.observers import HiddenStates, Weights, stack

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}
"""Rounding adds up to about 1e-6 in float32 and 1e-15 in float64; a mistake is larger than either."""


@dataclass(frozen=True)
class LayerCheck:
    """One layer's largest and mean |Δ| of the weights, its worst head, and the largest |Δ| of the states after it."""

    max_abs_diff: float
    mean_abs_diff: float
    worst_head: int
    hidden_abs_diff: float


@dataclass(frozen=True)
class Check:
    """What the check found. ``worst`` is the (layer, head) of ``max_abs_diff``.

    ``double`` is the same check in float64, made when float32 was beyond its tolerance: it decides.
    """

    heads: int
    dtype: str
    tolerance: float
    max_abs_diff: float
    worst: tuple[int, int]
    layers: tuple[LayerCheck, ...]
    double: Check | None = None

    @property
    def passed(self) -> bool:
        """Whether every head agrees, in float32 or, where that is rounding, in float64."""
        return self.max_abs_diff <= self.tolerance or (self.double is not None and self.double.passed)


def check(checkpoint: Checkpoint, encoding: Encoding, dtype: torch.dtype = torch.float32) -> Check:
    """Run ``encoding`` through our network and through transformers, and compare.

    Raises:
        ModelError: transformers can't load or run the checkpoint with eager attention.
    """
    weights, states = Weights(), HiddenStates()
    run(open_network(checkpoint, dtype), encoding, [weights, states])
    ours = weights.stacked(), states.stacked()
    result = _compare(ours, _reference(checkpoint, encoding, dtype))
    if result.passed or dtype is torch.float64:
        return result
    return replace(result, double=check(checkpoint, encoding, torch.float64))


def _compare(ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]) -> Check:
    """Compare weights (L, H, N, M) and hidden states (L + 1, T, C)."""
    for name, mine, other in zip(("attention", "hidden states"), ours, theirs, strict=True):
        if mine.shape != other.shape:
            raise ModelError(f"our {name} have the shape {tuple(mine.shape)}, transformers' {tuple(other.shape)}")
    apart = (ours[0] - theirs[0]).abs().nan_to_num(nan=torch.inf)
    heads = apart.amax((-2, -1))  # (L, H)
    states = (ours[1] - theirs[1]).abs().amax((-2, -1))[1:]  # (L,)
    worst = divmod(int(heads.argmax()), heads.shape[1])
    layers = zip(heads.amax(1), apart.mean((1, 2, 3)), heads.argmax(1), states, strict=True)
    return Check(
        heads=heads.numel(),
        dtype=str(apart.dtype).removeprefix("torch."),
        tolerance=TOLERANCES[apart.dtype],
        max_abs_diff=float(heads.max()),
        worst=worst,
        layers=tuple(LayerCheck(float(a), float(b), int(c), float(d)) for a, b, c, d in layers),
    )


def _reference(checkpoint: Checkpoint, encoding: Encoding, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The model's own weights (L, H, N, M) and hidden states (L + 1, T, C), by its eager attention."""
    with quiet_transformers():
        model = _load_eager(checkpoint, dtype)
        inputs = {"input_ids": torch.tensor([encoding.ids]), "attention_mask": torch.ones(1, len(encoding)).long()}
        if any(encoding.type_ids):
            inputs["token_type_ids"] = torch.tensor([encoding.type_ids])
        with torch.inference_mode():
            output = model(**inputs, output_attentions=True, output_hidden_states=True)
    if not output.attentions or output.attentions[0] is None:
        raise ModelError(f"{checkpoint.name}: transformers' eager attention returns no weights to compare with")
    return torch.cat(output.attentions), stack(output.hidden_states)[:, 0]


def _load_eager(checkpoint: Checkpoint, dtype: torch.dtype) -> Any:
    reference = checkpoint.reference
    if isinstance(reference, torch.nn.Module):
        model: Any = copy.deepcopy(reference).to("cpu", dtype).eval()  # the user's own stays as it is
        model.set_attn_implementation("eager")
        return model
    from transformers import AutoModel

    try:
        return AutoModel.from_pretrained(
            reference,
            attn_implementation="eager",
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            weights_only=True,
        ).eval()
    except Exception as error:  # whatever transformers raises on a checkpoint that it can't load
        raise ModelError(f"{checkpoint.name}: transformers can't load it for the check ({error})") from error
