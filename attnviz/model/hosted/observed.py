"""The observed backend: a model that computes attention by itself returns its own weights, which are shown as such."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Literal

import torch
from torch import Tensor

from attnviz.attention.block_sizes import TILE
from attnviz.attention.kernel import Kind, Observer, Tile
from attnviz.attention.memory import free_memory, in_words, too_large
from attnviz.attention.window import CAUSAL, EVERYTHING
from attnviz.encoding import Encoding
from attnviz.errors import UnsupportedModel
from attnviz.model.hosted.attention import RunFacts
from attnviz.model.hosted.isolation import isolated
from attnviz.model.hosted.layouts import Layer, Layout, layout_of
from attnviz.model.hosted.loaded import hidden_states
from attnviz.model.hosted.model import Hosted
from attnviz.model.hosted.modifications import has_own_attention
from attnviz.model.hosted.own_attention import OUTPUT_FIELDS
from attnviz.model.inputs import not_finite

_ROUNDING = {torch.float16: 2.0**-9, torch.bfloat16: 2.0**-7, torch.float64: 1e-9}
"""How far the weights of a query may sum to from 1, by type; 1e-4 in float32. Records are read with the same bound."""


class Observed(Hosted):
    """A loaded model that attends by itself: observers see its ``output_attentions`` as tiles."""

    name: Literal["hosted", "observed"] = "observed"

    def run(self, encoding: Encoding, observers: Sequence[Observer] = (), target: Encoding | None = None) -> Tensor:
        """Run one input as ``Hosted.run``; the result is empty if the model returns no hidden states.

        Raises:
            UnsupportedModel: the model returns no weights, or none of the shape (1, H, N, M) whose rows sum to 1.
            InputError: there is no memory for all weights, which the model makes at once; or as ``Hosted.run``.
        """
        self._require_room(encoding, target)
        wanted = any(type(observer).hidden is not Observer.hidden for observer in observers)
        output, maps = self._found(encoding, target, **({"output_hidden_states": True} if wanted else {}))
        for kind, found in maps.items():
            for layer, weights in found.items():
                for tile in _tiles(weights, layer, kind, causal=self.causal(kind)):
                    for observer in observers:
                        observer.tile(tile)
        for kind, states in hidden_states(output, self.kinds).items() if wanted else ():
            for (layer, state), observer in itertools.product(enumerate(states), observers):
                observer.hidden(layer, state, kind)
        last = _value(output, "last_hidden_state")
        return last[0] if isinstance(last, Tensor) else torch.empty(0)

    def require_changeable(self) -> None:
        """Raise, since the model attends by itself."""
        raise UnsupportedModel(
            f"{self.model_name} attends by itself: attnviz sees its weights and can't change them",
            hint="Models that attnviz can change are those that `attnviz models` calls native or hosted.",
        )

    def _own_run(self, encoding: Encoding, target: Encoding | None, **asked: bool) -> tuple[Any, dict[str, list[Any]]]:
        """Run the model with its own attention; return its output, and what the modules gave that its layout names."""
        caught: dict[str, list[Any]] = {}
        whole = self.classifier if self._layout.by_head else None
        with contextlib.ExitStack() as stack:
            stack.enter_context(isolated(self.model))
            self._layout.prepare(self.model, len(encoding))
            for name, module in self.model.named_modules() if self._layout.catch else ():
                if re.search(self._layout.catch, name):
                    kept = caught.setdefault(name, [])
                    stack.enter_context(_removing(module.register_forward_hook(partial(_keep, kept))))
            return self._forward(encoding, target, None, own=self._own, whole=whole, **asked), caught

    def _found(
        self, encoding: Encoding, target: Encoding | None, **asked: bool
    ) -> tuple[Any, dict[Kind, dict[int, Tensor]]]:
        """Run the model with its own attention; return its output, and the weights (H, N, M) by kind and layer."""
        output, caught = self._own_run(encoding, target, output_attentions=True, **asked)
        maps = {kind: self._maps(output, kind, shape, caught) for kind, shape in self._shapes(encoding, target).items()}
        self._last.seen = RunFacts(
            {kind: [*found] for kind, found in maps.items()},
            {
                kind: kind != "cross" and all(not bool(each.triu(1).any()) for each in found.values())
                for kind, found in maps.items()
            },
        )
        return output, maps

    def try_out(self) -> bool:
        """Run a few tokens, which shows how many heads there are; the weights are always the model's own.

        Raises:
            UnsupportedModel, ModelError: as ``run``.
        """
        _, maps = self._found(*self.few_tokens())
        self.heads = {kind: sum(map(len, found.values())) for kind, found in maps.items()}
        return True

    @cached_property
    def heads(self) -> dict[Kind, int]:
        """The number of heads of all layers of each kind together, found by a run of a few tokens."""
        self.try_out()
        return self.heads

    @cached_property
    def _layout(self) -> Layout:
        return layout_of(self.model)

    @cached_property
    def layout_note(self) -> str:  # type: ignore[override]
        """What a reader must know of the weights that the model hands in."""
        return self._layout.said(self.model.config)

    @cached_property
    def _own(self) -> str | None:
        """The attention to run with: None for a function that the user put in, otherwise the one that returns
        weights.
        """
        return "eager" if has_own_attention(self.model) else None

    def _require_room(self, encoding: Encoding, target: Encoding | None) -> None:
        needed = sum(4 * self.heads[kind] * n * m for kind, (n, m) in self._shapes(encoding, target).items())
        free = free_memory(str(self._device()))
        if free is not None and needed > free:
            raise too_large(
                max(len(encoding), len(target or ())),
                "the weights, which the model makes by itself and all at once,",
                in_words(needed),
                f"{in_words(free)} are free",
                hint="Give a shorter text.",
            )

    def _maps(
        self, output: Any, kind: Kind, shape: tuple[int, int], caught: Mapping[str, Sequence[Any]]
    ) -> dict[int, Tensor]:
        """Return the weights (H, N, M) of each layer that has some."""
        name, whose = OUTPUT_FIELDS[kind], f"{self.model_name}: {type(self.model).__name__}"
        given = _value(output, name)
        found = {layer: each for layer, each in enumerate(given or ()) if each is not None}
        if not found:
            raise UnsupportedModel(
                f"{whose} attends by itself, and hands in no {name} where output_attentions is asked for",
                hint="Its forward should return them, (1, heads, queries, keys) for each layer.",
            )
        maps = {}
        for layer, each in found.items():
            try:
                given = self._layout.matrix(Layer(each, output, layer, kind, shape, self.model.config, caught))
            except UnsupportedModel as error:
                error.message = f"{whose}, layer {layer}: {error.message}"
                raise
            maps[layer] = _weights(given, shape, f"{whose}, layer {layer}", part=self._layout.part)
        return maps


@contextlib.contextmanager
def _removing(hook: Any) -> Iterator[None]:
    """Remove a hook after the block."""
    try:
        yield
    finally:
        hook.remove()


def _keep(kept: list[Any], module: Any, given: Any, output: Any) -> None:  # noqa: ARG001
    kept.append(output)


def _value(output: Any, name: str) -> Any:
    """Return a field of a model's output, whatever the output's type."""
    if isinstance(output, Mapping):
        return output.get(name)
    if isinstance(output, tuple) and not hasattr(output, name) and name != "last_hidden_state":
        lists = [part for part in output if isinstance(part, tuple | list)]
        return next((part for part in reversed(lists) if all(each is None or each.dim() == 4 for each in part)), None)
    return getattr(output, name, None)


def _weights(given: Any, shape: tuple[int, int], whose: str, *, part: bool) -> Tensor:
    """Return the weights (H, N, M) of one layer, verified; a query's sum to 1, or less where they are ``part``."""
    if not isinstance(given, Tensor) or given.dim() != 4 or len(given) != 1 or tuple(given.shape[2:]) != shape:
        said = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise UnsupportedModel(f"{whose}: its attentions are {said}, expected (1, heads, {shape[0]}, {shape[1]})")
    if not given.is_floating_point():
        raise UnsupportedModel(f"{whose}: its attentions are {given.dtype}, expected floating point")
    weights = given[0].detach().to(torch.promote_types(given.dtype, torch.float32))
    if not torch.isfinite(weights).all():
        error = not_finite({})
        raise type(error)(f"{whose}: its attentions hold NaN or infinity")
    sums, least = weights.sum(-1), float(weights.min())
    apart = float((sums - 1).max() if part else (sums - 1).abs().max())
    if least < 0 or apart > _ROUNDING.get(given.dtype, 1e-4):
        raise UnsupportedModel(
            f"{whose}: its attentions are no weights: they go down to {least:.3g}, and a query's sum to "
            f"{float(sums.min()):.4g} to {float(sums.max()):.4g}, expected 1",
            hint="What is wanted is what the softmax gives, in evaluation mode.",
        )
    return weights


def _tiles(weights: Tensor, layer: int, kind: Kind, *, causal: bool) -> Iterator[Tile]:
    """Yield the weights (H, N, M) of a layer as tiles, as the kernel would."""
    heads, queries, keys = weights.shape
    rows = max(1, TILE // (heads * keys))
    for start in range(0, queries, rows):
        part = weights[:, start : start + rows].clone()  # observers may write over it
        yield Tile(layer, start, 0, part, (heads, queries, keys), kind, window=CAUSAL if causal else EVERYTHING)
