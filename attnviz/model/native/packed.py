"""Many documents at once and no padding: their tokens pass linear layers together and attend each among its own.

A pack is documents one after another, sorted by length. Linear layers, norms and MLPs see its T tokens as one matrix;
attention takes the documents of one length together, as (B, H, n, n) scores, so many that these stay in a core's cache.
Whoever measures turns the scores into weights, and has seen them then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from types import ModuleType

import torch
from torch import Tensor

from attnviz.attention.block_sizes import LANES, PACK, PACK_CELLS
from attnviz.attention.packs import Group, with_room
from attnviz.attention.tile import find_loops
from attnviz.attention.window import KeyWindow
from attnviz.model.architecture import position
from attnviz.model.architecture.spec import Learned, Rotary, Sinusoidal
from attnviz.model.native.forward import Network
from attnviz.model.native.run import Run, Sublayer

See = Callable[[int, KeyWindow, "Group", Tensor, Tensor | None], None]
"""(layer, its reach, documents, their scores (B, H, n, n), sinks (H,)) → turns these into weights, in their place."""


def pack(lengths: Sequence[int], workers: int = 1) -> list[list[int]]:
    """The numbers of the documents of each pack, in the order of their ``lengths``; a pack has one at least.

    There are as many packs for each of the ``workers``, of as many tokens.
    """
    total = sum(lengths)
    rounds = -(-total // (PACK * workers))
    room = -(-total // max(1, rounds * workers))
    packs: list[list[int]] = []
    taken = 0
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        # As near as can be to so many tokens in all packs so far.
        if not packs or taken + lengths[number] / 2 > room * len(packs):
            packs.append([])
        packs[-1].append(number)
        taken += lengths[number]
    return packs


@torch.inference_mode()
def run_packed(
    network: Network,
    ids: Sequence[Sequence[int]],
    type_ids: Sequence[Sequence[int]],
    see: See,
    *,
    compiled: bool = True,
) -> None:
    """Run the documents of a pack, which are sorted by length, and let ``see`` turn all their scores into weights.

    Nothing is computed on which no weight depends.
    """
    run = Packed([len(document) for document in ids], network.device, see, compiled=compiled)
    tokens, types = ([number for document in each for number in document] for each in (ids, type_ids))
    network.through(tokens, types, run, whole=False)


class Packed(Run):
    """The run of a pack of documents of the ``lengths``, which rise; with ``compiled`` products where that can be."""

    def __init__(self, lengths: Sequence[int], device: torch.device, see: See, *, compiled: bool = True) -> None:
        super().__init__(sum(lengths), device)
        self._see, self._compiled = see, compiled
        self._groups: list[Group] = []
        first = start = 0
        for length, same in groupby(lengths):
            group = Group(first, start, len(list(same)), length)
            self._groups.append(group)
            first, start = first + group.count, group.tokens.stop
        self._positions = torch.arange(max(lengths), device=device)

    def rows(self, ids: Tensor, spec: Learned | Sinusoidal) -> Tensor:
        """As of one text: each document begins at position 0."""
        found = []
        for group in self._groups:
            at = self._positions[: group.length].expand(group.count, -1)
            found.append(position.position_rows(ids[group.tokens].view(group.count, -1), at, spec).flatten())
        return torch.cat(found)

    def shares(self, tokens: Tensor, dtype: torch.dtype) -> Tensor:
        """As of one text, of each document by itself."""
        return torch.cat([
            tokens[group.tokens].view(group.count, -1).to(dtype).mean(-1).repeat_interleave(group.length)
            for group in self._groups
        ])  # fmt: skip

    @property
    def places(self) -> Tensor:
        """As of one text: each document begins at position 0."""
        return torch.cat([self._positions[: group.length].repeat(group.count) for group in self._groups])

    def _turn(self, rotary: Rotary, dtype: torch.dtype, table: Tensor | None) -> tuple[Tensor, Tensor]:
        # Angles may depend on the length of the text.
        each = [self._positions[: group.length] for group in self._groups]
        turns = [position.rotary_factors(rotary, at, dtype, table) for at in each]
        counts = [group.count for group in self._groups]
        cos, sin = (
            torch.cat([part.repeat(count, 1) for part, count in zip(parts, counts, strict=True)])
            for parts in zip(*turns, strict=True)
        )
        return cos, sin

    def attend(self, own: Sublayer, q: Tensor, k: Tensor, v: Tensor | None) -> Tensor:
        """As of one text, (T, H·D), of each document by itself; without ``v`` (T, 0)."""
        spec = own.spec
        taken = q.new_empty(q.shape[1], spec.heads, v.shape[-1] if v is not None else 0)
        compiled = self._compiled and all(_compiled(part) for part in (q, k, v) if part is not None)
        products = _products() if compiled else None
        for whole in self._groups:
            for group in whole.parts(max(1, PACK_CELLS // (spec.heads * whole.length**2))):
                scores = self._scores(own, group, q, k, products)
                self._see(own.layer, spec.window, group, scores, own.sinks)
                if v is None:
                    continue
                if products:
                    products.take(with_room(scores).numpy(), v.numpy(), group.start, taken.numpy())
                    continue
                # (B, H, n, n) → (B, G, H/G·n, n), times (B, G, n, D)
                weights = scores.to(v.dtype).view(group.count, spec.kv_heads, -1, group.length)
                context = (weights @ _apart(v, group)).view(group.count, spec.heads, group.length, -1)
                taken[group.tokens].view(group.count, group.length, spec.heads, -1).copy_(context.transpose(1, 2))
        return (taken if own.gate is None or v is None else taken * own.gate.transpose(0, 1)).flatten(1)

    def _scores(self, own: Sublayer, group: Group, q: Tensor, k: Tensor, products: ModuleType | None) -> Tensor:
        """The scores (B, H, n, n) of documents of one length, as the kernel makes them: float32 at least.

        Behind each row there is room for whole vectors.
        """
        spec, exact = own.spec, torch.promote_types(q.dtype, torch.float32)
        length, width = group.length, -(-group.length // LANES) * LANES
        scores = q.new_empty(group.count, spec.heads, length, width, dtype=exact)[..., :length]
        if products:
            products.make_scores(q.numpy(), k.numpy(), group.start, spec.scale, with_room(scores).numpy())
        else:
            queries = (_apart(q, group).to(exact) * spec.scale).reshape(group.count, spec.kv_heads, -1, q.shape[-1])
            made = queries @ _apart(k, group).to(exact).mT  # (B, G, H/G·n, n)
            scores.copy_(made.view(scores.shape))
        if spec.softcap is not None:
            scores.div_(spec.softcap).tanh_().mul_(spec.softcap)
        bias = own.bias(_apart(q, group), _apart(k, group))
        if bias:
            at = self._positions[:length]
            scores += bias(at, at)
        return scores

    def texts(self, x: Tensor) -> list[Tensor]:
        """The rows of ``x`` (T, …) of the documents of each length, (B, n, …)."""
        return [torch.unflatten(x[group.tokens], 0, (group.count, -1)) for group in self._groups]


def _apart(part: Tensor, group: Group) -> Tensor:
    """The documents of ``group`` of queries, keys or values (heads, T, D) by themselves, (B, heads, n, D)."""
    heads, _, size = part.shape
    return part[:, group.tokens].reshape(heads, group.count, group.length, size).transpose(0, 1)


def _compiled(part: Tensor) -> bool:
    """Whether the compiled products work on queries, keys or values (heads, T, D)."""
    return (
        part.device.type == "cpu" and part.dtype is torch.float32 and part.stride(2) == 1 and not part.shape[2] % LANES
    )


def _products() -> ModuleType | None:
    return find_loops("attnviz.attention.compiled.products")
