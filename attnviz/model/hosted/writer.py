"""How transformers writes: greedily, with its own head and rules, and what it makes of what another has written."""

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
    """What transformers made of tokens that another has written, one after the other.

    ``start`` are the ids that it begins with. ``chosen`` is its own choice at each of its steps, and ``apart`` how far
    the score of that is above that of the token that was written; ``scores`` (V,) are kept where the two differ.
    """

    start: list[int] = field(default_factory=list)
    chosen: list[int] = field(default_factory=list)
    apart: list[float] = field(default_factory=list)
    scores: dict[int, Tensor] = field(default_factory=dict)


class _Follow(LogitsProcessor):  # type: ignore[misc]
    """The last word on the scores: the token that was written comes next, whatever transformers would have chosen."""

    def __init__(self, ids: Sequence[int], keep: Collection[int]) -> None:
        self.found = ForcedRun()
        self._ids, self._keep = ids, keep

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Write down the choice among ``scores`` (1, V), and leave one."""
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
    """Let the ``writer`` go on with ``source``, and with ``ids`` whatever it would choose; it ends where it must.

    While it chooses as the other did, it is transformers' own greedy ``generate`` and nothing else.

    Args:
        source: what is read.
        begun: what a decoder beside an encoder has before the first token; of one token, transformers says which.
        own: the attention that it runs by.
        keep: the steps whose scores are kept in any case.
        rules: settings of transformers' ``generate`` beside those that the model has.
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
