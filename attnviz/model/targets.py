"""What a model says of a text whose causes are looked for: how high it scores a next token or a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from attnviz.encoding import Encoding, find_target
from attnviz.errors import UsageError, not_one_of, short

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from attnviz.model.outcomes import Readout

Asked = str | int | None
"""A word or a label, or its number; None is what the model predicts."""


@dataclass(frozen=True)
class Scored:
    """A next token or a label: its ``name``, and its number among all; ``shown`` is how a reader sees it."""

    name: str
    number: int
    shown: str


@dataclass(frozen=True)
class Target:
    """The score of a next token or a label, or how far it is above that of another.

    Attributes:
        of: whether these are tokens or labels.
        target: the one whose score it is.
        against: the one whose score is taken off.
        predicted: the one with the highest score.
        notes: what a reader must know of the choice, a sentence each.
    """

    of: Literal["token", "label"]
    target: Scored
    against: Scored | None
    predicted: Scored
    notes: tuple[str, ...] = ()

    def __call__(self, logits: Tensor) -> Tensor:
        """The score of logits (…, V), (…)."""
        found = logits[..., self.target.number]
        return found if self.against is None else found - logits[..., self.against.number]

    @property
    def title(self) -> str:
        """What it is, in words: ``the logit of ' Mary' minus that of ' John'``."""
        minus = "" if self.against is None else f" minus that of {self.against.shown}"
        return f"the logit of {self.target.shown}{minus}"


def find_token_target(
    tokenizer: Tokenizer, encoding: Encoding, row: int, logits: Tensor, target: Asked, against: Asked = None
) -> Target:
    """The target among the tokens that may follow the token ``row`` of ``encoding``, by its ``logits`` (V,).

    Raises:
        UsageError, InputError, ModelError: as ``find_target``; both are the same.
    """
    read = "" if encoding.special[row] else encoding.tokens[row]
    asked = [int(logits.argmax()), int(logits.argmax()) if target is None else target]
    asked += [] if against is None else [against]
    found = [find_target(tokenizer, each, read, vocabulary=len(logits)) for each in asked]
    notes = tuple(f"{each.warning}." for each in found[1:] if each.warning)
    predicted, *scored = (Scored(each.token, each.id, short(each.token)) for each in found)
    return _target("token", predicted, scored, notes)


def find_label_target(labels: Sequence[str], logits: Tensor, target: Asked, against: Asked = None) -> Target:
    """The target among ``labels`` (K,), by their ``logits`` (K,).

    Raises:
        UsageError: there is no such label; both are the same.
    """
    asked = [None, target] + ([] if against is None else [against])
    predicted, *scored = (_label(labels, logits, each) for each in asked)
    return _target("label", predicted, scored)


def find_target_of(tokenizer: Tokenizer, readout: Readout, target: Asked, against: Asked = None) -> Target:
    """The target among what the model of a ``readout`` may say in the end: labels, or the next token.

    Raises:
        UsageError, InputError, ModelError: as ``find_token_target`` and ``find_label_target``.
    """
    logits = end_logits(readout.plain.logits)
    labels = readout.backend.labels
    if readout.sort == "label" and labels is not None:
        return find_label_target(labels.prediction(logits.float().cpu().numpy()).labels, logits, target, against)
    read = readout.read
    return find_token_target(tokenizer, read, len(read) - 1, logits, target, against)


def end_logits(logits: Tensor | None) -> Tensor:
    """The logits (V,) of an outcome; of labels that each token has, (T, K), their mean over the tokens."""
    if logits is None:
        raise ValueError("the model says nothing that could be scored")
    return logits if logits.dim() == 1 else logits.mean(0)


def _label(labels: Sequence[str], logits: Tensor, asked: Asked) -> Scored:
    if asked is None:
        asked = int(logits.argmax())
    if isinstance(asked, int):
        if not 0 <= asked < len(labels):
            raise UsageError(f"there is no label {asked}: the model has 0 to {len(labels) - 1}")
        return Scored(labels[asked], asked, labels[asked])
    folded = [label.casefold() for label in labels]
    if asked.casefold() not in folded:
        raise not_one_of("the label", asked, labels)
    number = labels.index(asked) if asked in labels else folded.index(asked.casefold())
    return Scored(labels[number], number, labels[number])


def _target(
    of: Literal["token", "label"], predicted: Scored, scored: Sequence[Scored], notes: tuple[str, ...] = ()
) -> Target:
    target, against = scored[0], scored[1] if len(scored) > 1 else None
    if target == against:
        raise UsageError(
            f"`target` and `against` are both the {of} {target.shown}: their difference is 0",
            hint="Give two that differ, or leave `against` out.",
        )
    return Target(of, target, against, predicted, notes)
