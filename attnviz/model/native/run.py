"""The state of one run of a network: its observers, positions, cache, and how its tokens attend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attnviz.attention.interventions import Intervention
from attnviz.attention.kernel import Kind, Observer, attend
from attnviz.attention.scores import Bias
from attnviz.attention.window import EVERYTHING, KeyWindow
from attnviz.model.architecture import position
from attnviz.model.architecture.spec import AttentionSpec, Learned, Rotary, Sinusoidal

State = tuple[Tensor, ...]
"""What a mixer keeps of the tokens that it has read; empty before the first."""
Mix = Callable[..., tuple[Tensor, State]]
"""From a state and what is of B texts of n tokens (B, n, …) to what is made of it (B, n, …), and the next state."""
Biases = Callable[[Tensor, Tensor], Bias | None]
"""Compute the position biases of scores from the queries and keys of all heads (…, heads, T, D)."""

Lent = tuple[Tensor, Tensor | None]
"""The keys and values (G, M, D) of a layer, as far as they were made."""


class KVCache:
    """The keys and values of the tokens that a decoder has read, so that further tokens run alone; and the states of
    layers that do not attend.
    """

    def __init__(self, *, queries: bool = False) -> None:
        """Make an empty cache.

        Args:
            queries: whether to keep the queries too, so that the attention can be observed afterwards without another
                run.
        """
        self.length = 0
        self._queries: dict[str, list[Tensor]] | None = {} if queries else None
        self._read: dict[str, tuple[Tensor, Tensor]] = {}
        self.states: dict[str, State] = {}

    def extend(self, at: str, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append new keys and values of the attention ``at``, and return all so far, (G, M, D)."""
        if at in self._read:
            k, v = (torch.cat((old, new), dim=1) for old, new in zip(self._read[at], (k, v), strict=True))
        self._read[at] = k, v
        return k, v

    def copy(self) -> KVCache:
        """Return a cache of the same tokens, which may read others than this one."""
        found = KVCache()
        found.length, found._read = self.length, dict(self._read)
        return found

    def keep_queries(self, at: str, q: Tensor) -> None:
        """Keep the queries (H, T, D) of new tokens, if queries are kept."""
        if self._queries is not None:
            self._queries.setdefault(at, []).append(q)

    def take(self, at: str, keys: str, *, last: bool = True) -> tuple[Tensor, Tensor]:
        """Return the queries (H, T, D) of all tokens in the attention ``at``, and the keys (G, T, D) in ``keys``.

        The queries are dropped, the keys if this is the ``last`` attention that looks at them.
        """
        if self._queries is None:
            raise ValueError("the queries were not kept")
        read = self._read.pop(keys) if last else self._read[keys]
        return torch.cat(self._queries.pop(at), dim=1), read[0]

    def keep(self, at: str, make: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Return the keys and values of the attention ``at`` to an encoder; they are made once, since they never
        change.
        """
        if at not in self._read:
            self._read[at] = make()
        return self._read[at]


@dataclass(frozen=True, eq=False)
class Sublayer:
    """One attention of a network, beside its queries, keys and values.

    Args:
        layer: its layer.
        kind: which of a network's attentions it is.
        spec: its facts.
        biases: what gives the position biases of scores; None if there are none.
        sinks: the score of each head's key without a value, (H,).
        gate: by what each head's output is multiplied, (H, T, D).
    """

    layer: int
    kind: Kind
    spec: AttentionSpec
    biases: Biases | None = None
    sinks: Tensor | None = None
    gate: Tensor | None = None

    @property
    def window(self) -> KeyWindow:
        """Which keys a query sees; all of another text."""
        return EVERYTHING if self.kind == "cross" else self.spec.window

    def bias(self, q: Tensor, k: Tensor) -> Bias | None:
        """The position biases of the scores of the queries ``q`` (H, T, D) and the keys ``k`` (G, M, D)."""
        return self.biases(q, k) if self.biases else None


class Run:
    """A run of one text, or of the tokens that follow those in ``past``, through one stack of layers.

    ``memory`` (M, C) is the encoder's output for a decoder; ``interventions`` are what is put in the place of weights
    and of heads' outputs; ``tokens`` (T,) are the ids, where layers look at them.
    """

    def __init__(
        self,
        count: int,
        device: torch.device,
        observers: Sequence[Observer] = (),
        past: KVCache | None = None,
        memory: Tensor | None = None,
        interventions: Sequence[Intervention] = (),
        tokens: Tensor | None = None,
    ) -> None:
        self.tokens = tokens
        self.lent: dict[int, Lent] = {}
        self.observers, self.past, self.memory, self.interventions = observers, past, memory, interventions
        self.first = past.length if past else 0
        self.positions = torch.arange(self.first, self.first + count, device=device)
        self._turns: dict[Rotary, tuple[Tensor, Tensor]] = {}

    def valued(self, layer: int, kind: Kind) -> list[Observer]:
        """Return the observers that want to see the values of a layer."""
        return [observer for observer in self.observers if observer.valued and observer.wants(layer, kind)]

    def lend(self, layer: int, k: Tensor, v: Tensor | None) -> None:
        """Keep the keys and values of a layer, which later ones use."""
        self.lent[layer] = k, v

    def borrow(self, layer: int) -> Lent:
        """The keys and values of an earlier layer."""
        return self.lent[layer]

    def rows(self, ids: Tensor, spec: Learned | Sinusoidal) -> Tensor:
        """Return the rows of the position table for the tokens ``ids`` (T,)."""
        return position.position_rows(ids, self.positions, spec)

    def shares(self, tokens: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the share of its text's tokens that are among the ``tokens`` (T,) given, for each token (T,)."""
        return tokens.to(dtype).mean().expand(len(tokens))

    @property
    def places(self) -> Tensor:
        """The position of each row of states, (T,)."""
        return self.positions

    def turns(self, rotary: Rotary, dtype: torch.dtype, table: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the factors of ``position.apply_rotary``, each (T, size); computed once per run."""
        if rotary not in self._turns:
            self._turns[rotary] = self._turn(rotary, dtype, table)
        return self._turns[rotary]

    def _turn(self, rotary: Rotary, dtype: torch.dtype, table: Tensor | None) -> tuple[Tensor, Tensor]:
        return position.rotary_factors(rotary, self.positions, dtype, table)

    def attend(self, own: Sublayer, q: Tensor, k: Tensor, v: Tensor | None) -> Tensor:
        """Return the context (T, H·D) of the queries ``q`` (H, T, D) over ``k`` and ``v`` (G, M, D).

        Without ``v`` the weights are only shown to the observers; the result is (T, 0).
        """
        size = own.spec.head_size  # queries may carry their biases, too
        context = attend(
            q[..., :size],
            k[..., :size],
            k[..., :0] if v is None else v,
            scale=own.spec.scale,
            window=own.window,
            bias=own.bias(q, k),
            softcap=own.spec.softcap,
            sinks=own.sinks,
            gate=None if v is None else own.gate,
            first=self.first,
            layer=own.layer,
            kind=own.kind,
            observers=self.observers,
            interventions=self.interventions,
        )
        return context.transpose(0, 1).flatten(1)  # (H, T, D) → (T, H·D)

    def mlp(self, layer: int, compute: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:  # noqa: ARG002
        """Return what the MLP of a layer, which is ``compute``, makes of its input ``x`` (T, C)."""
        return compute(x)

    def mixer(self, layer: int, compute: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:  # noqa: ARG002
        """Return what the mixer of a layer, which is ``compute``, makes of its input ``x`` (T, C)."""
        return compute(x)

    def texts(self, x: Tensor) -> list[Tensor]:
        """The rows of ``x`` (T, …), text by text: (B, n, …) of B texts of n tokens each."""
        return [x[None]]

    def neighbours(self, mix: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Apply the convolution ``mix``, (B, C, n) → the same shape, to the states ``x`` (T, C) of each text by
        itself.
        """
        return torch.cat([mix(each.mT).mT.flatten(0, 1) for each in self.texts(x)])

    def mixed(self, at: str, mix: Mix, *x: Tensor) -> Tensor:
        """Return what ``mix`` makes of parts of the states (T, …) of each text by itself, (T, …).

        It goes on from the state that the mixer ``at`` has kept of the tokens before.
        """
        before: State = self.past.states.get(at, ()) if self.past else ()
        found, state = [], before
        for each in zip(*map(self.texts, x), strict=True):
            given, state = mix(before, *each)
            found.append(given.flatten(0, 1))
        if self.past:
            self.past.states[at] = state
        return found[0] if len(found) == 1 else torch.cat(found)
