"""Two texts that stand against each other token by token, and how far apart a model's answers to them are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnviz.errors import InputError, UsageError
from attnviz.model.targets import Asked, Target, end_logits, find_target_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from attnviz.encoding import Encoding
    from attnviz.model.outcomes import Readout

_WIDTH = 72
"""The most columns of a row of tokens in a message."""
_ROWS = 8
"""The most pairs of rows."""
_NOTHING = 1e-6
"""A difference by the size of the scores that is nothing but rounding."""


@dataclass(frozen=True, eq=False)
class Sides:
    """A clean and a corrupt text, and the score that the model gives a target after each.

    Attributes:
        clean: the model and the clean text.
        corrupt: the model and the corrupt one.
        target: what is scored.
        before: the score after the corrupt text.
        after: the score after the clean one.
    """

    clean: Readout
    corrupt: Readout
    target: Target
    before: float
    after: float

    def score(self, logits: Tensor) -> float:
        """The score of the target by ``logits`` (V,), or (T, K) of labels that each token has."""
        return float(self.target(end_logits(logits).double()))

    @property
    def apart(self) -> bool:
        """Whether the scores differ by more than rounding."""
        return abs(self.after - self.before) > _NOTHING * max(abs(self.after), abs(self.before))

    def share(self, change: float) -> float:
        """(patched − corrupt) / (clean − corrupt), NaN where the scores are the same."""
        return change / (self.after - self.before) if self.apart else float("nan")

    @property
    def name(self) -> str:
        """The target, and what it stands against, as a reader sees them."""
        target, against = self.target.target, self.target.against
        return target.shown if against is None else f"{target.shown} against {against.shown}"

    def about(self) -> dict[str, Any]:
        """What is compared, for programs."""
        against = self.target.against
        return {
            "clean": self.clean.encoding.text, "corrupt": self.corrupt.encoding.text,
            "target": self.target.target.name, "against": None if against is None else against.name,
            "clean_score": self.after, "corrupt_score": self.before,
        }  # fmt: skip

    def notes(self) -> list[str]:
        """What is compared, for a reader."""
        title = self.target.title
        said = f"{title[:1].upper()}{title[1:]}: {_number(self.after)} clean, {_number(self.before)} corrupt"
        if self.apart:
            said += f"; 100% is the difference, {_number(self.after - self.before)}."
        else:
            said += ": they do not differ, so that no share of it can be restored."
        return [said, f"The texts differ in {self._differing()}.", *self.target.notes]

    def _differing(self) -> str:
        pairs = zip(self.corrupt.encoding.tokens, self.clean.encoding.tokens, strict=True)
        found = [f"token {i}, {ours} → {theirs}" for i, (ours, theirs) in enumerate(pairs) if ours != theirs]
        return "; ".join(found[:4]) + (f"; and {len(found) - 4} more" if len(found) > 4 else "")


def sides_of(
    tokenizer: Tokenizer, clean: Readout, corrupt: Readout, target: Asked = None, against: Asked = None
) -> Sides:
    """Two texts as sides.

    Args:
        tokenizer: the model's.
        clean, corrupt: the model with each of the texts.
        target: a word that may come next, or a label; None is what the model predicts of the clean text.
        against: the one whose logit is taken off; None where no target is given either is what the model predicts of
            the corrupt text, if that is another.

    Raises:
        InputError: the texts have different numbers of tokens; the message has both.
        UsageError: they are the same; there is no such target; the model says nothing that could be scored.
    """
    require_same_length(clean.encoding, corrupt.encoding)
    if clean.encoding.ids == corrupt.encoding.ids:
        raise UsageError(
            "the clean and the corrupt text are the same tokens: there is nothing to restore",
            hint="Give two texts that differ in a word, such as a name.",
        )
    if clean.sort == "states":
        raise UsageError(
            f"{clean.why_states}: there is no answer to move back",
            hint="What can be measured instead: attnviz ablate, how its last hidden states change without a head.",
        )
    logits = [end_logits(each.plain.logits) for each in (clean, corrupt)]
    if target is None and against is None:
        target, other = (int(each.argmax()) for each in logits)
        against = other if other != target else None
    found = find_target_of(tokenizer, clean, target, against)
    after, before = (float(found(each.double())) for each in logits)
    return Sides(clean, corrupt, found, before, after)


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def require_same_length(one: Encoding, other: Encoding) -> None:
    """Raise an ``InputError`` where two texts have different numbers of tokens; it shows them, one under the other."""
    if len(one) == len(other):
        return
    rows = "\n".join(f"  {row}" for row in _under_each_other(one.tokens, other.tokens))
    raise InputError(
        f"the texts differ in length, {len(one):,} and {len(other):,} tokens, so that these do not correspond:\n{rows}",
        hint="Change words for others of as many tokens.",
    )


def _under_each_other(one: tuple[str, ...], other: tuple[str, ...]) -> Iterator[str]:
    """Two rows of tokens in common columns, as many rows as it takes."""
    longest = max(len(one), len(other))
    pairs = [[each[i] if i < len(each) else "" for each in (one, other)] for i in range(longest)]
    start = 0
    for _ in range(_ROWS):
        stop, used = start, 0
        while stop < longest and (stop == start or used + max(map(len, pairs[stop])) <= _WIDTH):
            used += max(map(len, pairs[stop])) + 1
            stop += 1
        for side in (0, 1):
            yield " ".join(pair[side].ljust(max(map(len, pair))) for pair in pairs[start:stop]).rstrip()
        start = stop
        if start == longest:
            return
    yield "…"
