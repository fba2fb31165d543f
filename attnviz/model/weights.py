"""The tensors that a spec needs, taken from a checkpoint: found under its names, cut apart, their shapes verified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from attnviz.errors import ModelError
from attnviz.model.families import Family
from attnviz.model.shapes import Shape, head_shapes, shapes
from attnviz.model.spec import Spec

_CUTS = {"qkv": ("query", "key", "value"), "groups": ("query", "key", "value"), "gate_up": ("gate", "up")}


def take(
    family: Family, spec: Spec, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: str = "cpu"
) -> dict[str, Tensor]:
    """The tensors that ``spec`` needs, under our names, in ``dtype`` and on ``device``, found under the family's.

    The token embeddings keep their type: of a large table few rows are read.

    Raises:
        ModelError: tensors are missing or have another shape than the config says; the message names them.
    """
    return {
        name: tensor.to(device) if name.endswith("embed.tokens.weight") else tensor.to(device, dtype)
        for name, tensor in _take(family, spec, tensors, shapes(spec)).items()
    }


def take_head(
    family: Family, spec: Spec, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: str = "cpu"
) -> tuple[Tensor, Tensor | None]:
    """The matrix (vocabulary, C) that makes scores of hidden states, and its bias.

    Raises:
        ModelError: the model has no head that predicts tokens, or the checkpoint lacks it.
    """
    needed = head_shapes(spec)
    if not needed:
        raise ModelError(f"models of type {family.name!r} have no head that predicts the next token")
    if spec.head and spec.head.bias == "optional":
        named = {theirs for theirs, our in family.names.items() if our == "head.bias"}
        if named.isdisjoint(map(family.plain, tensors)):
            del needed["head.bias"]
    matrix, *bias = (tensor.to(device, dtype) for tensor in _take(family, spec, tensors, needed).values())
    return matrix, bias[0] if bias else None


def _take(family: Family, spec: Spec, tensors: Mapping[str, Tensor], needed: Mapping[str, Shape]) -> dict[str, Tensor]:
    stored = {family.plain(name): name for name in tensors}
    taken: dict[str, Tensor] = {}
    lacked: dict[str, str] = {}
    for theirs, our, group in _places(family, spec, needed):
        parts = [part for part in _parts(our) if part in needed and part not in taken]
        if parts and all(name in stored for name in theirs):
            loaded = [tensors[stored[name]] for name in theirs]
            cut = _cut(our, loaded[0] if len(loaded) == 1 else torch.stack(loaded), needed, group, stored[theirs[0]])
            taken |= {part: cut[part] for part in parts}
        else:
            lacked |= dict.fromkeys(parts, theirs[0])
    missing = list(dict.fromkeys(lacked.get(name, name) for name in needed if name not in taken))
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ModelError(
            f"the checkpoint lacks {len(missing)} tensors that its config asks for: {', '.join(missing[:3])}{more}",
            hint="The weights are incomplete or of another model: download the model again.",
        )
    return {name: taken[name] for name in needed}


def _places(family: Family, spec: Spec, needed: Mapping[str, Shape]) -> Iterator[tuple[list[str], str, int]]:
    """Their names and ours of all layers, and the number of key-value heads in that layer."""
    for theirs, ours in family.names.items():
        for our in (ours,) if isinstance(ours, str) else ours:
            stack = spec.encoder if our.startswith("encoder.") and spec.encoder else spec
            if stack is spec and not spec.causal:  # perhaps an encoder alone
                our = our.removeprefix("encoder.")
            for i, layer in enumerate(stack.layers if "{}" in our else stack.layers[:1]):
                at = stack.stored[i] if stack.stored else i
                name = our.format(i)
                heads = needed.get(name, (1,))[0] if theirs.count("{}") > 1 else 1
                yield [theirs.format(at, head) for head in range(heads)], name, layer.attention.kv_heads


def _parts(our: str) -> list[str]:
    """The names of what the tensor ``our`` is, one or several."""
    at, what, last = ("." + our.removesuffix(".T")).rsplit(".", 2)
    return [f"{at}.{part}.{last}".lstrip(".") for part in _CUTS.get(what, (what,))]


def _cut(our: str, tensor: Tensor, needed: Mapping[str, Shape], groups: int, name: str) -> dict[str, Tensor]:
    """The tensors that ``tensor`` holds, under their names; ``name`` is the checkpoint's."""
    parts = _parts(our)
    if our.endswith(".T"):
        tensor = tensor.t()
    if our == "head.bias":  # some have it as one row
        tensor = tensor.flatten()
    shapes_ = [needed[part] for part in parts if part in needed]
    expected = (sum(shape[0] for shape in shapes_), *shapes_[0][1:])
    if tuple(tensor.shape) != expected:
        raise ModelError(
            f"{name} has the shape {tuple(tensor.shape)}, its config asks for {expected}",
            hint="config.json and the weights do not belong together: download the model again.",
        )
    if ".groups." not in our:
        return dict(zip(parts, torch.split(tensor, [shape[0] for shape in shapes_]), strict=True))
    size = shapes_[1][0] // groups
    heads = tensor.reshape(groups, -1, size, *tensor.shape[1:])  # (G·(H/G + 2)·D, …) → (G, H/G + 2, D, …)
    cut = heads[:, :-2].flatten(0, 2), heads[:, -2].flatten(0, 1), heads[:, -1].flatten(0, 1)
    return dict(zip(parts, cut, strict=True))
