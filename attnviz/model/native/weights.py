"""Take the tensors that a spec needs from a checkpoint: find them by the family's names, split and verify them."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attnviz.checkpoint.files import shapes_of
from attnviz.errors import ModelError, few
from attnviz.model.architecture.shapes import TensorShape, head_shapes, optional_shapes, tensor_shapes
from attnviz.model.architecture.spec import AttentionSpec, GatedDelta, Mixer, Spec
from attnviz.model.families import Family
from attnviz.model.inputs import NO_HEAD
from attnviz.model.native.language_head import LanguageHead

_CUTS = {
    "qkv": ("query", "key", "value"),
    "groups": ("query", "key", "value"),
    "quarters": ("query", "key", "value"),
    "key_values": ("key", "value"),
    "query_gate": ("query", "gate"),
    "query_key_value_gate": ("query", "key", "value", "gate"),
    "rate_decay": ("rate", "decay"),
    "before_after_value": ("before", "after", "value"),
    "gate_up": ("gate", "up"),
    "up_gate": ("up", "gate"),
    "gate_up_pairs": ("gate", "up"),
}

_ROWS = ("head.bias", ".correction")
"""Vectors that some checkpoints store as one row."""
_IN_GROUPS = ("key_values", "query_gate", "query_key_value_gate", "rate_decay")
"""Cuts of which each group has all parts."""

_NEEDLESS = re.compile(
    r"^(lm_head|cls|score|classifier|qa_outputs|classification_head|text_model\.head)\."  # heads, after the last states
    r"|(^|\.)(pooler\..*|contact_head\..*"  # likewise
    r"|position_ids|token_type_ids"  # 0, 1, 2, … and 0, 0, 0, …
    r"|(attn|attention|crossattention)\.(masked_)?bias"  # causal masks
    r"|(encoder|decoder)\.version|embed_positions\.(_float_tensor|weights)|attn\.embed_positions"  # computed
    r"|rotary_emb(eddings)?\.inv_freq"  # computed, or the same in each layer
    r"|embeddings\.position_embeddings\.weight"  # beside rotary positions (ESM)
    r"|weight_integer|bias_integer|(fc|norm|weight|act)_scaling_factor|x_(min|max)|shift"  # for integers (I-BERT)
    r"|entity_(embeddings|predictions)\..*|(w2e|e2w|e2e)_query\.(weight|bias)"  # of entities, beside the text (LUKE)
    r"|adapter_modules\..*|lang_embeddings\.weight"  # of other languages (X-MOD), of languages (XLM)
    r"|EncDecAttention\.relative_attention_bias\.weight)$"  # in T5's first version, which never used it
)
"""Tensors on which no attention weight depends; transformers ignores them as well."""

_TABLES = ("embed.tokens.weight", "embed.layers.weight")


@dataclass(frozen=True)
class TensorLocation:
    """Where tensors are in a checkpoint.

    Args:
        theirs: the checkpoint's names; several tensors are stacked.
        our: attnviz's name of the whole.
        parts: attnviz's names of the tensors into which it is split.
        groups: of how many parts, one after another, the tensors are: of key-value heads, or of blocks along the
            diagonal.
    """

    theirs: tuple[str, ...]
    our: str
    parts: tuple[str, ...]
    groups: int


def take_tensors(
    family: Family, spec: Spec, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: str = "cpu"
) -> dict[str, Tensor]:
    """Return the tensors that ``spec`` needs, under attnviz's names, in ``dtype`` and on ``device``.

    Embeddings of tokens keep their type, since only few rows of a large table are read.

    Raises:
        ModelError: tensors are missing, or have another shape than the config says; the message names them.
    """
    return {
        name: tensor.to(device) if name.endswith(_TABLES) else tensor.to(device, dtype)
        for name, tensor in _load(tensors, *_needed(family, spec, shapes_of(tensors))).items()
    }


def take_head(
    family: Family, spec: Spec, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: str = "cpu"
) -> LanguageHead:
    """Return the head that makes scores of the next token from the last hidden states.

    Raises:
        ModelError: the model has no head that predicts tokens, or the checkpoint lacks it.
    """
    needed = head_shapes(spec)
    if spec.head is None:
        raise ModelError(f"models of type {family.name!r} have no head that predicts the next token", hint=NO_HEAD)
    if spec.head.bias == "optional" and not _has(family, spec, tensors, "head.bias"):
        del needed["head.bias"]
    if "head.weight" in needed and not _has(family, spec, tensors, "head.weight"):
        raise ModelError("the checkpoint has no head that predicts the next token", hint=NO_HEAD)
    locations = _locate(family, spec, shapes_of(tensors), needed)
    matrix, *bias = (tensor.to(device, dtype) for tensor in _load(tensors, locations, needed).values())
    return LanguageHead(matrix, bias[0] if bias else None, spec.head.scale, spec.head.softcap)


def find_unread(family: Family, spec: Spec, tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return the names of tensors that are neither read nor known to be needless, such as heads, masks and copies.

    transformers ignores them too, with a warning.

    Raises:
        ModelError: as ``take_tensors``.
    """
    stored = shapes_of(tensors)
    locations, _ = _needed(family, spec, stored)
    read = {name for place in locations for name in place.theirs}
    taken = {part for place in locations for part in place.parts}
    # Keys and values of layers that use those of others: some checkpoints have them.
    borrowing = [i for i, attention in spec.attentions.items() if attention.keys_of is not None]
    idle = tuple(f"layers.{i}.attention.{part}" for i in borrowing for part in ("key", "value"))
    copies = {
        name
        for names, our, _ in _places(family, spec, tensor_shapes(spec) | head_shapes(spec))
        if our == "head.weight" or our == "head.bias" or taken.issuperset(_parts(our)) or our.startswith(idle)
        for name in names
    }
    others = [name for name in stored if name not in read and family.plain(name) not in copies]
    begun = {name.partition(".")[0] for name in read}  # transformers removes the prefix from a pickle's names
    others += [name for name in getattr(tensors, "unexpected", ()) if family.plain(name).partition(".")[0] in begun]
    return without_needless(others, read, family.prefix_of(read))


def without_needless(names: Iterable[str], read: Iterable[str], prefix: str) -> tuple[str, ...]:
    """Return the ``names`` of tensors that are not known to be needless beside the tensors that are ``read``.

    If the names of the body begin with ``prefix``, names without it belong to a head.
    """
    body = prefix if any(name.startswith(prefix) for name in read) else ""
    return tuple(sorted(name for name in names if name.startswith(body) and not _NEEDLESS.search(name)))


def _needed(
    family: Family, spec: Spec, stored: Mapping[str, TensorShape]
) -> tuple[list[TensorLocation], dict[str, TensorShape]]:
    """Return where the tensors are that ``spec`` needs or may use, and their shapes."""
    may = {our: shape for our, shape in optional_shapes(spec).items() if _has(family, spec, stored, our)}
    needed = tensor_shapes(spec) | may
    return _locate(family, spec, stored, needed), needed


def _has(family: Family, spec: Spec, stored: Collection[str], our: str) -> bool:
    """Whether the checkpoint has the tensor that attnviz calls ``our``."""
    plain = set(map(family.plain, stored))
    return any(name == our and plain.issuperset(theirs) for theirs, name, _ in _places(family, spec, {}))


def _locate(
    family: Family, spec: Spec, stored: Mapping[str, TensorShape], needed: Mapping[str, TensorShape]
) -> list[TensorLocation]:
    """Return where each needed tensor is, with its shape verified; nothing is read."""
    names = {family.plain(name): name for name in stored}
    found: list[TensorLocation] = []
    taken: set[str] = set()
    lacked: dict[str, str] = {}
    for theirs, our, groups in _places(family, spec, needed):
        parts = tuple(part for part in _parts(our) if part in needed and part not in taken)
        if parts and all(name in names for name in theirs):
            place = TensorLocation(tuple(names[name] for name in theirs), our, parts, groups)
            if our.endswith(".T?"):
                as_is = stored[place.theirs[0]] == _expected(place, needed)
                place = replace(place, our=our.removesuffix(".T?" if as_is else "?"))
            _verify(place, stored, needed)
            found.append(place)
            taken.update(parts)
        else:
            lacked |= dict.fromkeys(parts, theirs[0])
    missing = list(dict.fromkeys(lacked.get(name, name) for name in needed if name not in taken))
    if missing:
        raise ModelError(
            f"the checkpoint lacks {len(missing):,} tensors that its config asks for: {few(missing)}",
            hint="The weights are incomplete or of another model: download the model again.",
        )
    return found


def _places(family: Family, spec: Spec, needed: Mapping[str, TensorShape]) -> Iterator[tuple[list[str], str, int]]:
    """Yield the checkpoint's names and attnviz's name of each tensor, and the number of its groups or blocks."""
    for theirs, ours in family.names.items():
        for our in (ours,) if isinstance(ours, str) else ours:
            stack = spec.encoder if our.startswith("encoder.") and spec.encoder else spec
            if stack is spec and not spec.causal:  # it may be an encoder alone
                our = our.removeprefix("encoder.")
            for i, layer in enumerate(stack.layers if "{}" in our else stack.layers[:1]):
                at = stack.stored[i] if stack.stored else i
                name = our.format(i)
                heads = needed.get(name, (1,))[0] if theirs.count("{}") > 1 else 1
                inner = name.removesuffix(".weight.blocks").removeprefix(f"layers.{i}.")
                groups = dict(stack.blocks).get(inner) or _groups(layer.attention, name)
                yield [theirs.format(at, head, language=spec.language) for head in range(heads)], name, groups


def _groups(spec: AttentionSpec | Mixer, our: str) -> int:
    """Of how many groups a tensor of an attention or mixer is, that of each after that of another."""
    match spec:
        case AttentionSpec():
            return spec.heads if ".query_gate." in our else spec.kv_heads
        case GatedDelta():
            return spec.key_heads
    return 1


def _parts(our: str) -> list[str]:
    """Return the names of the tensors that ``our`` contains, one or several."""
    at, what, last = ("." + our.removesuffix("?").removesuffix(".T").removesuffix(".blocks")).rsplit(".", 2)
    return [f"{at}.{part}.{last}".lstrip(".") for part in _CUTS.get(what, (what,))]


def _verify(place: TensorLocation, stored: Mapping[str, TensorShape], needed: Mapping[str, TensorShape]) -> None:
    """Raise a ``ModelError`` if the tensors at ``place`` have another shape than needed."""
    name = place.theirs[0]
    said = {stored[one] for one in place.theirs}
    shape = stored[name] if len(place.theirs) == 1 else (len(place.theirs), *stored[name])
    if place.our.endswith(".T"):
        shape = (*shape[:-2], *shape[:-3:-1])
    if place.our.endswith(".blocks") and len(shape) == 3 and shape[2] == 1:
        shape = (shape[0], shape[1] * place.groups)
    if place.our.endswith(_ROWS):
        shape = (math.prod(shape),)
    expected = _expected(place, needed)
    if len(said) > 1 or shape != expected:
        raise ModelError(
            f"{name} has the shape {shape}, its config asks for {expected}",
            hint="config.json and the weights do not belong together: download the model again.",
        )


def _expected(place: TensorLocation, needed: Mapping[str, TensorShape]) -> TensorShape:
    """The shape that what is at ``place`` must have, with its parts one after another."""
    parts = _shapes(place, needed)
    axis, expected = _axis(place.our), parts[0]
    if len(parts) == 1:
        return expected
    return (*expected[:axis], sum(part[axis] for part in parts), *expected[axis + 1 :])


def _axis(our: str) -> int:
    """The axis along which parts lie one after another: behind that of the experts, where the tensor is of several."""
    return 1 if ".experts." in our else 0


def _shapes(place: TensorLocation, needed: Mapping[str, TensorShape]) -> list[TensorShape]:
    return [needed[part] for part in _parts(place.our) if part in needed]


def _load(
    tensors: Mapping[str, Tensor], locations: list[TensorLocation], needed: Mapping[str, TensorShape]
) -> dict[str, Tensor]:
    """Read and split the needed tensors, in the order of ``needed``."""
    taken: dict[str, Tensor] = {}
    for place in locations:
        loaded = [tensors[name] for name in place.theirs]
        cut = _cut(place, loaded[0] if len(loaded) == 1 else torch.stack(loaded), _shapes(place, needed))
        taken |= {part: cut[part] for part in place.parts}
    return {name: taken[name] for name in needed}


def _cut(place: TensorLocation, tensor: Tensor, parts: list[TensorShape]) -> dict[str, Tensor]:
    """Split ``tensor`` into its parts, by name."""
    names = _parts(place.our)
    if place.our.endswith(".T"):
        tensor = tensor.mT
    if place.our.endswith(".blocks"):
        tensor = torch.block_diag(*tensor.squeeze(-1).chunk(place.groups))  # type: ignore[no-untyped-call]
    if place.our.endswith(_ROWS):
        tensor = tensor.flatten()
    if len(names) == 1:
        return {names[0]: tensor}
    if ".quarters." in place.our:
        rows = tensor.reshape(4, 3, -1, *tensor.shape[1:])  # (3·H·D, …) → (4, 3, H/4·D, …)
        return dict(zip(names, (rows[:, i].flatten(0, 1) for i in (0, 2, 1)), strict=True))
    axis = _axis(place.our)
    if ".gate_up_pairs." in place.our:
        return dict(zip(names, (tensor.movedim(axis, 0)[i::2].movedim(0, axis) for i in range(2)), strict=True))
    if any(f".{cut}." in place.our for cut in _IN_GROUPS):
        heads = torch.unflatten(tensor, 0, (place.groups, -1))  # (G·(D + E), …) → (G, D + E, …)
        sizes = [shape[0] // place.groups for shape in parts]
        return dict(zip(names, (part.flatten(0, 1) for part in torch.split(heads, sizes, 1)), strict=True))
    if ".groups." not in place.our:
        return dict(zip(names, torch.split(tensor, [shape[axis] for shape in parts], axis), strict=True))
    size = parts[1][0] // place.groups
    heads = tensor.reshape(place.groups, -1, size, *tensor.shape[1:])  # (G·(H/G + 2)·D, …) → (G, H/G + 2, D, …)
    cut = heads[:, :-2].flatten(0, 2), heads[:, -2].flatten(0, 1), heads[:, -1].flatten(0, 1)
    return dict(zip(names, cut, strict=True))
