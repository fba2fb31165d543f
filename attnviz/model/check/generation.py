"""Check what a model generated: transformers generates too, greedily, and the ids are compared.

If the two choose different tokens, both may be equally good but for rounding: transformers' scores of both tokens say
how far apart they are, and its scores in a wider type say how much rounding moves them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from attnviz.checkpoint import Checkpoint
from attnviz.encoding import Encoding
from attnviz.errors import ModelError
from attnviz.model.backends import WIDER, Options, placement
from attnviz.model.check.report import TIE_BOUND, Choice, GenerationCheck
from attnviz.model.generation import opening
from attnviz.model.hosted import ForcedRun, Hosted, force_tokens, open_with_head
from attnviz.model.native.backend import Native


def check_generation(
    checkpoint: Checkpoint,
    options: Options,
    backend: Native | Hosted,
    read: Encoding,
    target: Encoding | None,
    own: Literal["eager", "sdpa"] = "eager",
) -> GenerationCheck | None:
    """Compare the tokens that the model generated after ``read``, or as ``target``; return None if there are none.

    Args:
        checkpoint: the checkpoint.
        options: how it is run.
        backend: the backend that generated.
        read: the encoding of the input, with what a decoder alone generated.
        target: the encoding of a decoder beside an encoder.
        own: the attention with which transformers' model runs.

    Raises:
        ModelError: transformers can't load the model with its head, or can't generate with it.
    """
    text = read if target is None else target
    if not text.generated:
        return None
    if not isinstance(backend, Native):
        return GenerationCheck(text.generated, "transformers")
    begin = opening(checkpoint, backend)
    rules = {} if begin is None else {"decoder_start_token_id": begin[0], "forced_bos_token_id": begin[1]}
    writing = _Writing(checkpoint, options, read, target, own, rules)
    writer = writing.open(options)
    found = writing.follow(writer)
    choices = writing.differing(found)
    if any(0 < choice.apart < torch.inf for choice in choices) and options.dtype in WIDER:
        wider = writing.open(replace(options, dtype=WIDER[options.dtype]))
        wider.generation_config = copy.deepcopy(writer.generation_config)
        exact = writing.follow(wider, [*found.scores])
        choices = [
            replace(choice, explained=TIE_BOUND * _moved(found, exact, choice.place - writing.first))
            for choice in choices
        ]
    return GenerationCheck(text.generated, differ=tuple(choices))


@dataclass(frozen=True)
class _Writing:
    """What a native model generated, and how transformers is forced to generate the same."""

    checkpoint: Checkpoint
    options: Options
    read: Encoding
    target: Encoding | None
    own: Literal["eager", "sdpa"]
    rules: dict[str, int | None]

    @property
    def text(self) -> Encoding:
        """The encoding that ends with the generated tokens."""
        return self.read if self.target is None else self.target

    @property
    def first(self) -> int:
        """The position of the first generated token."""
        return len(self.text) - self.text.generated

    def open(self, options: Options) -> Any:
        """Open the transformers model with its head."""
        given = placement(self.checkpoint, options)
        return open_with_head(self.checkpoint, *given, trust_remote_code=options.trust_remote_code)

    def follow(self, writer: Any, keep: Sequence[int] = ()) -> ForcedRun:
        """Force transformers to generate the same tokens."""
        begun, ids = self.text.ids[: self.first], self.text.ids[self.first :]
        source, decoded = (begun, ()) if self.target is None else (self.read.ids, begun)
        try:
            return force_tokens(writer, source, decoded, ids, self.own, keep, **self.rules)
        except (TypeError, ValueError, LookupError, AttributeError, RuntimeError) as error:
            raise ModelError(f"{self.checkpoint.name}: transformers can't write with it ({error})") from error

    def differing(self, found: ForcedRun) -> list[Choice]:
        """Return where transformers would have begun, continued or ended differently."""
        ids, first = self.text.ids, self.first
        begins = zip(range(first), ids, found.start, strict=False)
        choices = [Choice(i, mine, theirs, torch.inf, 0.0) for i, mine, theirs in begins if mine != theirs]
        for step, (theirs, apart) in enumerate(zip(found.chosen, found.apart, strict=True)):
            if theirs != ids[first + step]:
                choices.append(Choice(first + step, ids[first + step], theirs, apart, 0.0))
        end = first + len(found.chosen)
        return choices if end == len(ids) else [*choices, Choice(end, ids[end], None, torch.inf, 0.0)]


def _moved(found: ForcedRun, exact: ForcedRun, step: int) -> float:
    """Return the most that rounding moves any score of one step; 0 if its scores were not kept."""
    if step not in found.scores or step not in exact.scores:
        return 0.0
    moved: Tensor = (found.scores[step].to(exact.scores[step]) - exact.scores[step]).abs()
    return float(moved[torch.isfinite(moved)].max())
