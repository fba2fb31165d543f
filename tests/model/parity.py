"""Helpers of the parity tests: both forward passes, and their comparison."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor
from transformers.initialization import no_init_weights

from attnviz.attention.kernel import Kind
from attnviz.attention.observers import HiddenStates, Weights
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import find_family
from attnviz.model.native import weights
from attnviz.model.native.forward import Network
from tests import tiny
from tests.model.variants import Variant, all_variants

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}
DTYPES = tuple(TOLERANCES)

Report = dict[str, dict[str, dict[str, float]]]
"""The largest difference by family, variant and dtype."""
Result = tuple[Tensor, Tensor]
"""Weights (L, H, N, M) and hidden states (L + 1, T, C); in a few models the last have another width."""


def make(variant: Variant, dtype: torch.dtype) -> Any:
    """Make the transformers model of a variant in ``dtype``, with parameters that matter; call it inside
    ``precision``.
    """
    kind = getattr(transformers, variant.model)
    with no_init_weights():  # all parameters get their values below
        config = kind.config_class(**variant.config)
        model = kind._from_config(config, attn_implementation="eager", experts_implementation="eager").eval()
    model.tie_weights()
    tiny.randomise(model, scale=variant.scale)
    if variant.edit:
        variant.edit(model)
    return model.to(dtype)


def spec_of(variant: Variant) -> Spec:
    """Return the spec of a variant, from its config alone."""
    config = getattr(transformers, variant.model).config_class(**variant.config).to_dict()
    config["architectures"] = [variant.model]
    return find_family(config).spec(config)


def saved(model: Any, folder: Path, dtype: torch.dtype) -> Network:
    """Return our network of the model, saved to disk and loaded."""
    model.save_pretrained(folder)
    return network_of(*files_of(folder), dtype)


def files_of(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the config and the tensors of a model that was saved."""
    return json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")


def network_of(config: dict[str, Any], tensors: dict[str, Tensor], dtype: torch.dtype) -> Network:
    """Return our network of what was read."""
    family = find_family(config)
    spec = family.spec(config)
    return Network(spec, weights.take_tensors(family, spec, tensors, dtype))


def inputs(ids: Sequence[int], types: Sequence[int] | None = None, target: Sequence[int] | None = None) -> Any:
    given = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
    if types is not None:
        given["token_type_ids"] = torch.tensor([types])
    if target is not None:
        given["decoder_input_ids"] = torch.tensor([target])
    return given


def theirs_of(model: Any, variant: Variant) -> dict[Kind, Result]:
    """Return the results of the transformers model, which must be eager, by kind of map (cross has no states)."""
    assert model.config._attn_implementation == "eager"
    with torch.inference_mode():
        given = inputs(variant.ids, variant.types, variant.target)
        given |= {name: torch.tensor(ids)[:, : len(variant.ids)] for name, ids in variant.given.items()}
        output = model(**given, output_attentions=True, output_hidden_states=True, use_cache=False)
    length = len(variant.ids)
    if variant.target is None:
        # CLIP's last norm comes after the states that transformers returns.
        states = (*output.hidden_states[:-1], getattr(output, "last_hidden_state", output.hidden_states[-1]))
        found = weights_of(variant, torch.cat(output.attentions))[..., :length, :length]
        return {"self": (found, _stack(states))}
    return {
        "encoder": (
            weights_of(variant, torch.cat(output.encoder_attentions))[..., :length, :length],
            _stack(output.encoder_hidden_states),
        ),
        "decoder": (torch.cat(output.decoder_attentions), _stack(output.decoder_hidden_states)),
        "cross": (
            weights_of(variant, torch.cat(output.cross_attentions))[:, :, : len(variant.target)],
            torch.zeros(1, dtype=output.cross_attentions[0].dtype),
        ),
    }


def weights_of(variant: Variant, returned: Tensor) -> Tensor:
    """The weights (L, H, N, M), of what transformers returns as attentions.

    Those of SqueezeBERT are the scores before the softmax, as are those of ProphetNet but for its decoder's own; the
    rows of these after the text's are of streams that predict. Those of LongT5's encoder, (L, blocks, H, size, 3·size),
    are of blocks of queries, of which each sees its own keys and the blocks beside it.
    """
    if returned.dim() == 5:
        layers, blocks, heads, size, _ = returned.shape
        whole = torch.zeros(layers, heads, blocks * size, blocks * size, dtype=returned.dtype)
        for query in range(blocks * size):
            for key in range(max(0, (query // size - 1) * size), min(blocks, query // size + 2) * size):
                block, at = query // size, query % size
                whole[:, :, query, key] = returned[:, block, :, at, key - (block - 1) * size]
        return whole
    scores = variant.model.startswith(("SqueezeBert", "ProphetNet") if variant.target else "SqueezeBert")
    return returned.softmax(-1) if scores else returned


def ours_of(network: Network, variant: Variant) -> dict[Kind, Result]:
    """Return the results of our forward pass, by kind of map."""
    weights_, states = Weights(), HiddenStates()
    types = variant.types or [0] * len(variant.ids)
    if network.encoder is None or variant.target is None:
        network(variant.ids, types, [weights_, states])
        return {"self": (weights_.stacked(), states.stacked())}
    memory = network.encoder(variant.ids, types, [weights_, states])
    network(variant.target, (), [weights_, states], memory=memory)
    stacks: tuple[Kind, Kind] = ("encoder", "decoder")
    found: dict[Kind, Result] = {kind: (weights_.stacked(kind), states.stacked(kind)) for kind in stacks}
    return found | {"cross": (weights_.stacked("cross"), torch.zeros(1, dtype=network.dtype))}


def _stack(states: Sequence[Tensor]) -> Tensor:
    """Stack the states of all layers, (L + 1, T, C); last states of another width are padded with zeros."""
    widest = max(state.shape[-1] for state in states)
    return torch.cat([torch.nn.functional.pad(state, (0, widest - state.shape[-1])) for state in states])


def theirs(model: Any, ids: Sequence[int], type_ids: Sequence[int] | None = None) -> Result:
    """Return the results of the transformers model, which must be eager."""
    return theirs_of(model, Variant("", {}, ids, type_ids))["self"]


def ours(network: Network, ids: Sequence[int], type_ids: Sequence[int] | None = None) -> Result:
    """Return the results of our forward pass."""
    return ours_of(network, Variant("", {}, ids, type_ids))["self"]


def apart(mine: Result, other: Result) -> tuple[Tensor, Tensor]:
    """Return the largest difference of the weights, per layer and head, and of the states, per layer.

    The latter is relative to the layer's largest state if that is above one.
    """
    for name, a, b in zip(("weights", "states"), mine, other, strict=True):
        assert a.dtype == b.dtype, f"{name}: {a.dtype} and {b.dtype}"
        assert a.shape == b.shape, f"{name}: {tuple(a.shape)} and {tuple(b.shape)}"
    heads = (mine[0] - other[0]).abs().amax((-2, -1))  # (L, H)
    if mine[1].dim() == 1:
        return heads, mine[1]
    return heads, (mine[1] - other[1]).abs().amax((-2, -1)) / other[1].abs().amax((-2, -1)).clamp(min=1)  # (L + 1,)


def assert_same(mine: Result, other: Result, dtype: torch.dtype) -> None:
    """Assert that weights agree within the tolerance of ``dtype``, and states within it times the layer's largest."""
    assert mine[0].dtype == dtype
    heads, states = apart(mine, other)
    assert bool((heads <= TOLERANCES[dtype]).all()), f"weights differ per layer and head by\n{heads}"
    assert bool((states <= TOLERANCES[dtype]).all()), f"hidden states differ per layer by\n{states}"


def assert_telling(weights: Tensor) -> None:
    """Assert that no layer is near uniform, where any kernel is right, or near one-hot, where only the argmax
    counts.
    """
    spread = entropy(weights)
    assert bool((spread < 0.9).all()), f"near uniform: {spread}"
    assert bool((spread > 0.1).all()), f"near one-hot: {spread}"


def entropy(weights: Tensor) -> Tensor:
    """Normalised entropy per layer (L,), over the queries that see more than one key."""
    seen = (weights > 0).sum(-1)  # (L, H, N)
    rows = torch.special.entr(weights).sum(-1) / seen.clamp(min=2).log()
    return (rows * (seen > 1)).sum((1, 2)) / (seen > 1).sum((1, 2))


def write_report(path: Path, found: Report) -> None:
    """Update the file with what was ``found``; other rows stay, except those of variants that no longer exist."""
    said: Report = json.loads(path.read_bytes()) if path.exists() else {}
    merged: Report = {}
    for family, name in all_variants():
        row = said.get(family, {}).get(name, {}) | found.get(family, {}).get(name, {})
        if row:
            merged.setdefault(family, {})[name] = row
    path.write_text(json.dumps(merged, indent=1, sort_keys=True) + "\n")
