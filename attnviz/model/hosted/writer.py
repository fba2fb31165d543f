"""Generate with transformers: greedily, with its own head and rules, but forced to the tokens of another model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from attnviz.checkpoint import quiet_transformers
from attnviz.model.hosted.isolation import attend_with
from attnviz.model.hosted.precision import precision


@dataclass
class ForcedRun:
    """What transformers computed at each step while it was forced to generate given tokens.

    Args:
        start: the ids with which it begins.
        chosen: its own choice at each step.
        apart: how far the score of its choice is above that of the given token, at each step.
        scores: the scores (V,) of the steps at which the two differ.
    """

    start: list[int] = field(default_factory=list)
    chosen: list[int] = field(default_factory=list)
    apart: list[float] = field(default_factory=list)
    scores: dict[int, Tensor] = field(default_factory=dict)


class _Follow(LogitsProcessor):  # type: ignore[misc]
    """The last logits processor: it forces the given token, whatever transformers would have chosen."""

    def __init__(self, ids: Sequence[int], keep: Collection[int]) -> None:
        self.found = ForcedRun()
        self._ids, self._keep = ids, keep

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Record the choice among ``scores`` (1, V), and allow only the given token."""
        found, row = self.found, scores[0]
        step = len(found.chosen)
        found.start = found.start or input_ids[0].tolist()
        best, mine = int(row.argmax()), self._ids[step]
        known = mine < len(row)
        found.chosen.append(best)
        found.apart.append(float(row[best] - row[mine]) if known else torch.inf)
        if known and (best != mine or step in self._keep):
            found.scores[step] = row.clone()
        forced = torch.full_like(scores, -torch.inf)
        forced[0, mine if known else best] = 0
        return forced


def force_tokens(
    writer: Any,
    source: Sequence[int],
    begun: Sequence[int],
    ids: Sequence[int],
    own: Literal["eager", "sdpa"] = "eager",
    keep: Collection[int] = (),
    **rules: Any,
) -> ForcedRun:
    """Let ``writer`` continue ``source`` with exactly ``ids``, and record what it would have chosen at each step.

    As long as its own choices are ``ids``, this is transformers' greedy ``generate`` and nothing else.

    Args:
        writer: the transformers model with its head.
        source: the ids of the input.
        begun: the ids of a decoder beside an encoder before the first generated token; if it is a single one,
            transformers chooses it.
        ids: the tokens to generate.
        own: the attention with which it runs.
        keep: the steps whose scores are kept in any case.
        rules: settings of transformers' ``generate`` beside the model's own.
    """
    processor = _Follow(ids, keep)
    read = torch.tensor([source], device=writer.device)
    if len(begun) > 1:
        rules["decoder_input_ids"] = torch.tensor([begun], device=writer.device)
    with attend_with(writer, None, own), quiet_transformers(), precision(writer.dtype), torch.inference_mode():
        writer.generate(
            input_ids=read,
            attention_mask=torch.ones_like(read),
            do_sample=False,
            num_beams=1,
            max_new_tokens=len(ids),
            logits_processor=LogitsProcessorList([processor]),
            **rules,
        )
    return processor.found
