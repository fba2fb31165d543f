"""The contributions of a model's parts to what it says of a text: direct logit attribution of one logit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnviz.attention.observers import HiddenStates, KeptValues, Only, Pairs, as_array
from attnviz.attention.observers.changed import KeptContexts
from attnviz.attention.tile import Kind, Observer
from attnviz.encoding import Encoding
from attnviz.errors import UsageError
from attnviz.model.architecture.description import mixer_name
from attnviz.model.inputs import BESIDE
from attnviz.model.native.attribution import Attribution, attribute
from attnviz.model.native.language_head import LanguageHead
from attnviz.model.targets import Asked, Target, find_label_target, find_token_target

if TYPE_CHECKING:
    from attnviz.checkpoint import Checkpoint
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

Numbers = NDArray[np.floating[Any]]
_INSTEAD = "What can be measured instead: attnviz ablate, how the answer changes without a head."


@dataclass(frozen=True, eq=False)
class Contributions:
    """What adds to the logit of a target, directly.

    Attributes:
        target: what it is.
        row: the token whose last hidden state is scored.
        logit: the logit (difference), before a soft cap.
        capped: the same behind it; None where there is none.
        probability: that of the target.
        heads: what each head of each kind adds, (L, H).
        sources: what each adds that comes from each token, (L, H, M).
        mlps: what each MLP adds, (L,).
        layers: the numbers of the L layers of each kind of attention.
        mixers: what each layer that does not attend adds in the place of heads, by its number and what it is called.
        embeddings: what the embeddings of the token itself add, by name.
        biases: what all biases add, which is the same for every text, by name.
    """

    target: Target
    row: int
    logit: float
    capped: float | None
    probability: float
    heads: dict[Kind, Numbers]
    sources: dict[Kind, Numbers]
    mlps: Numbers
    embeddings: dict[str, float]
    biases: dict[str, float]
    layers: dict[Kind, tuple[int, ...]]
    mixers: dict[tuple[int, str], float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """The sum of all parts, which is the logit but for rounding."""
        parts = [*(each.sum() for each in self.heads.values()), self.mlps.sum(), *self.mixers.values()]
        return float(sum([*parts, *self.embeddings.values(), *self.biases.values()]))


@torch.inference_mode()
def find_contributions(
    checkpoint: Checkpoint,
    backend: Native | Hosted,
    read: Encoding,
    written: Encoding | None,
    *,
    target: Asked = None,
    against: Asked = None,
    row: int | None = None,
    observers: Sequence[Observer] = (),
) -> Contributions:
    """What adds to the logit of a ``target``, minus that of another, at one token.

    Args:
        checkpoint: the model.
        backend: the model ready to run.
        read: the text.
        written: what the decoder of an encoder–decoder reads.
        target: a word that may follow, or a label; None is what the model predicts.
        against: the one whose logit is taken off.
        row: the token whose next one is predicted; None is the last, or the one that a classifier reads.
        observers: others that see the run.

    Raises:
        UsageError: transformers runs the model; it has no head that predicts, or one that is no linear map of a state;
            there is no such target.
        InputError, ModelError: as the run.
    """
    if backend.name != "native":
        raise UsageError(
            f"contributions are of models that attnviz runs natively, and {checkpoint.name} is {backend.name}",
            hint=_INSTEAD if backend.name == "hosted" else "What its weights say: attnviz find, or attnviz heads.",
        )
    text = read if written is None else written
    at = _row(checkpoint, backend, text, row)
    states, contexts, values = HiddenStates(), KeptContexts(), KeptValues()
    kinds: tuple[Kind, ...] = ("self",) if written is None else ("decoder", "cross")
    rows = {kind: Pairs([at]) for kind in kinds}
    seeing: list[Observer] = [states, contexts, values, *(Only(kind, [rows[kind]]) for kind in kinds)]
    last = backend.run(read, [*seeing, *observers], written)[at]
    head = _head(backend)
    logits = head.uncapped(last)
    if backend.labels is None:
        found = find_token_target(checkpoint.tokenizer, text, at, logits, target, against)
    else:
        labels = backend.labels.prediction(as_array(logits)).labels
        found = find_label_target(labels, logits, target, against)
    direction = found(head.matrix.double().T) * head.scale
    parts = attribute(
        backend.network, text.ids, text.type_ids if written is None else (), states.each(kinds[0]), contexts.found,
        direction[None], torch.tensor([at], device=last.device),
    )  # fmt: skip
    sources = {
        kind: np.stack([
            as_array(parts.sources(kind, i, rows[kind].layer(i), values.found[kind][i])[:, 0])
            for i in rows[kind].layers()
        ])
        for kind in kinds
    }  # fmt: skip
    return _gathered(parts, found, head, logits, at, sources, backend)


def _gathered(
    parts: Attribution, target: Target, head: LanguageHead, logits: torch.Tensor, row: int,
    sources: dict[Kind, Numbers], backend: Native,
) -> Contributions:  # fmt: skip
    names = {i: mixer_name(each) for i, each in backend.network.spec.mixers.items()}
    layers = {kind: tuple(backend.layer_heads[kind]) for kind in sources}
    biases = {name: float(each) for name, each in parts.biases.items()}
    if head.bias is not None:
        biases["head bias"] = float(target(head.bias.double())) * head.scale
    capped = head.capped(logits.double())
    return Contributions(
        target=target,
        row=row,
        logit=float(target(logits.double())),
        capped=None if head.softcap is None else float(target(capped)),
        probability=float(capped.softmax(-1)[target.target.number]),
        heads={kind: as_array(each[..., 0]) for kind, each in parts.heads.items()},
        sources=sources,
        mlps=as_array(parts.mlps[:, 0]),
        embeddings={name: float(each) for name, each in parts.embeddings.items()},
        biases=biases,
        layers=layers,
        mixers={(i, names[i]): float(each[0]) for i, each in sorted(parts.mixers.items())},
    )


def _head(backend: Native) -> LanguageHead:
    """The head that makes the scores."""
    linear = None if backend.classifier is None else backend.classifier.linear
    return backend.language_head if linear is None else LanguageHead(*linear)


def _row(checkpoint: Checkpoint, backend: Native, text: Encoding, asked: int | None) -> int:
    """The token whose last hidden state is scored.

    Raises:
        UsageError: a classifier reads others, or several.
    """
    head = backend.classifier
    if backend.labels is None or head is None:
        if backend.network.spec.head is None:
            raise UsageError(
                f"{checkpoint.name} has no head that predicts tokens or labels: there is no logit to add to",
                hint="What can be measured instead: attnviz show TEXT --weights norm+residual, what each word is made "
                "of; attnviz ablate, how the last hidden states change without a head.",
            )  # fmt: skip
        if backend.network.spec.streams:
            raise UsageError(f"contributions are to a logit of {checkpoint.name}: {BESIDE}", hint=_INSTEAD)
        return len(text) - 1 if asked is None else asked
    if head.linear is None or head.spec.reads == "mean":
        how = "reads the mean of all states" if head.linear else "has more than one layer"
        raise UsageError(
            f"the head of {checkpoint.name} that gives labels {how}: the logit is no sum of what heads add",
            hint=_INSTEAD,
        )
    if head.spec.reads == "each":
        if asked is None:
            raise UsageError(
                f"{checkpoint.name} gives each word a label, and no word is named", hint="Name one with `at`."
            )
        return asked
    if asked is not None:
        raise UsageError(f"{checkpoint.name} gives the text one label, read at one token: leave `at` out")
    row = head.row(text.ids)
    return len(text) - 1 if row is None else row
