"""How much what a model says changes: divergences, losses, differences of logits, cosines, probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.table import Column
from attnviz.encoding import TargetToken
from attnviz.errors import UsageError, did_you_mean
from attnviz.record import Prediction

if TYPE_CHECKING:
    from attnviz.encoding.spelling import Spelling
    from attnviz.model.labels import Labels
    from attnviz.model.outcomes import Outcome, Readout

Doubles = NDArray[np.float64]

_KL = Column(
    "kl", "KL(p ‖ p′) in nats: how far the next token's distribution p′ is from p, that of the plain run", "number"
)
_LOSS = Column("loss", "change of the mean loss on the text's own tokens, in nats a token", "change")
_NEXT = Column("next", "the token that is predicted then")
_PROBABILITY = Column("p", "the probability that the target has then, or else the token of the plain run", "share")
_DIFFERENCE = Column("difference", "change of the logit difference: logit(target) − logit(against)", "change")
_LOG_PROBABILITY = Column("log_p", "change of ln p of the target as the next token", "change")
_POOLED = Column("pooled", "1 − cos of the mean of the last hidden states and that of the plain run", "number")
_WORDS = Column("words", "1 − cos of each word's last hidden state, the mean over the words", "number")
_WORD = Column("word", "the word that changes most")
_LARGEST = Column("largest", "1 − cos of this word's state", "number")
_LABELS = Column(
    "kl", "KL(p ‖ p′) in nats: how far the labels' probabilities p′ are from p, those of the plain run", "number"
)
_SCORE = Column("score", "change of the score", "change")
_CHANGE = Column("change", "change of the probability of the target, or else of the label of the plain run", "change")
_LABEL = Column("label", "the label that is predicted then")


@dataclass(frozen=True, eq=False)
class Wanted:
    """What of a model's prediction is measured, beside how much all of it changes.

    Attributes:
        target: the token or the label whose logit, or probability, is measured; None: none.
        against: the token or label that it is compared with.
    """

    target: TargetToken | str | None = None
    against: TargetToken | str | None = None


class Measures:
    """Measures outcomes of runs against that of the plain run.

    Args:
        readout: the model and its input.
        spelling: how its tokens are written.
        wanted: the tokens or labels that are measured in particular.

    Raises:
        UsageError: there is no such label, or nothing that could be meant by a target.
    """

    def __init__(self, readout: Readout, spelling: Spelling, wanted: Wanted | None = None) -> None:
        self.sort, self.read = readout.sort, readout.read
        self._labels = readout.backend.labels
        self._plain, self._spelling = readout.plain, spelling
        self._wanted = wanted or Wanted()
        if self.sort == "states" and self._wanted.target is not None:
            raise UsageError(
                "the model has no head that predicts tokens or labels: it has no logit of a target",
                hint="Without --target the change of its last hidden states is measured.",
            )

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of what is measured; the first is the one that heads are ranked by."""
        target = self._wanted.target is not None
        if self.sort == "states":
            return _POOLED, _WORDS, _WORD, _LARGEST
        if self.sort == "label":
            if self._regression:
                return (_SCORE,)
            return ((_CHANGE, _LABELS) if target else (_LABELS, _CHANGE)) + (_LABEL,)
        if not target:
            return _KL, _LOSS, _PROBABILITY, _NEXT
        return (_LOG_PROBABILITY if self._wanted.against is None else _DIFFERENCE), _KL, _LOSS, _PROBABILITY, _NEXT

    @property
    def main(self) -> str:
        """The column that heads are ranked by."""
        return self.columns[0].name

    @property
    def _regression(self) -> bool:
        return self._prediction(self._plain).problem == "regression"

    def of(self, outcome: Outcome) -> dict[str, Any]:
        """What is measured of an ``outcome``, by the names of the columns."""
        if self.sort == "states":
            return self._of_states(outcome)
        return self._of_labels(outcome) if self.sort == "label" else self._of_token(outcome)

    def words(self, outcome: Outcome) -> Doubles | None:
        """The change of each word (W,): 1 − cos of its state, or the change of its loss; None of a classifier."""
        if self.sort == "label":
            return None
        if self.sort == "states":
            return _cosines(self._word_means(outcome), self._word_means(self._plain))
        return self._word_losses(outcome) - self._word_losses(self._plain)

    @property
    def word_column(self) -> Column:
        """The column of ``words``."""
        about = (
            "1 − cos of the word's last hidden state" if self.sort == "states" else "change of the word's loss, in nats"
        )
        return Column("change", about, "number" if self.sort == "states" else "change")

    def about(self) -> dict[str, Any]:
        """What the plain run says."""
        plain = self._plain
        if self.sort == "states":
            return {}
        if self.sort == "label":
            prediction = self._prediction(plain)
            values = np.atleast_2d(prediction.values).mean(0)
            return {"labels": dict(zip(prediction.labels, values.tolist(), strict=True)), **self._named()}
        p = np.exp(_log_softmax(_array(plain.logits)))
        found = {"next": self._token(int(p.argmax())), "p": float(p.max()), **self._named()}
        found["loss"] = float(_array(plain.losses).mean()) if plain.losses is not None and len(plain.losses) else None
        if self._wanted.against is not None:
            found["logit_difference"] = self._difference(plain)
        return found

    def plainly(self) -> str:
        """What the plain run says, in a sentence."""
        about = self.about()
        if self.sort == "states":
            return ""
        if self.sort == "label":
            said = ", ".join(f"{label} {value:.3g}" for label, value in list(about["labels"].items())[:6])
            return f"The plain run: {said}."
        difference = f", the logit difference is {about['logit_difference']:.3g}" if "logit_difference" in about else ""
        loss = "" if about["loss"] is None else f", the mean loss {about['loss']:.3g} nats"
        return f"In the plain run the next token is {about['next']!r} ({100 * about['p']:.1f} %){difference}{loss}."

    def _named(self) -> dict[str, Any]:
        return {
            name: each.token if isinstance(each, TargetToken) else each
            for name, each in (("target", self._wanted.target), ("against", self._wanted.against))
            if each is not None
        }

    def _of_token(self, outcome: Outcome) -> dict[str, Any]:
        before, after = (_log_softmax(_array(each.logits)) for each in (self._plain, outcome))
        followed = int(before.argmax())
        found: dict[str, Any] = {
            "kl": kl_divergence(before, after),
            "loss": _mean_change(outcome, self._plain),
            "p": float(np.exp(after[followed])),
            "next": self._token(int(after.argmax())),
        }
        target = self._wanted.target
        if isinstance(target, TargetToken):
            if self._wanted.against is None:
                found["log_p"] = float(after[target.id] - before[target.id])
            else:
                found["difference"] = self._difference(outcome) - self._difference(self._plain)
            found["p"] = float(np.exp(after[target.id]))
        return found

    def _difference(self, outcome: Outcome) -> float:
        """logit(target) − logit(against), of tokens or of labels."""
        logits = _array(outcome.logits)
        logits = np.atleast_2d(logits).mean(0) if self.sort == "label" else logits
        return float(logits[self._number(self._wanted.target)] - logits[self._number(self._wanted.against)])

    def _number(self, wanted: TargetToken | str | None) -> int:
        if isinstance(wanted, TargetToken):
            return wanted.id
        labels = self._prediction(self._plain).labels
        if wanted is None:
            return int(np.atleast_2d(_array(self._plain.logits)).mean(0).argmax())
        return label_number(labels, wanted)

    def _prediction(self, outcome: Outcome) -> Prediction:
        labels: Labels | None = self._labels
        if labels is None:
            raise ValueError("the model has no labels")
        return labels.prediction(_array(outcome.logits))

    def _of_labels(self, outcome: Outcome) -> dict[str, Any]:
        before, after = self._prediction(self._plain), self._prediction(outcome)
        p, q = (np.atleast_2d(each.values) for each in (before, after))
        if before.problem == "regression":
            return {"score": float((q - p).mean())}
        at = self._number(self._wanted.target)
        if before.problem == "multi_label":  # each label is a distribution of its own
            kl = sum(_kl(one, other).sum(-1) for one, other in ((p, q), (1 - p, 1 - q)))
        else:
            kl = _kl(p, q).sum(-1)
        best = np.atleast_2d(_array(outcome.logits)).mean(0).argmax()
        return {
            "kl": float(np.mean(kl)), "change": float((q - p)[:, at].mean()), "label": after.labels[int(best)],
        }  # fmt: skip

    def _of_states(self, outcome: Outcome) -> dict[str, Any]:
        ours, plain = _array(outcome.states), _array(self._plain.states)
        words = _cosines(self._word_means(outcome), self._word_means(self._plain))
        most = int(words.argmax())
        return {
            "pooled": float(_cosines(ours.mean(0)[None], plain.mean(0)[None])[0]), "words": float(words.mean()),
            "word": self.word_names[most], "largest": float(words[most]),
        }  # fmt: skip

    @property
    def word_names(self) -> tuple[str, ...]:
        """The words that are measured, with ``:2`` behind those that occur again."""
        from attnviz.analysis.text.units import numbered

        return numbered([each.text for each in self.read.words])

    def _word_means(self, outcome: Outcome) -> Doubles:
        """The mean of the states of each word's tokens (W, C)."""
        starts = [each.start for each in self.read.words]
        counts = np.diff([*starts, len(self.read)])
        return np.asarray(np.add.reduceat(_array(outcome.states), starts, 0) / counts[:, None])

    def _word_losses(self, outcome: Outcome) -> Doubles:
        """The loss of each word's tokens together (W,); the first token has none."""
        losses = np.append(0.0, _array(outcome.losses))
        return np.asarray(np.add.reduceat(losses, [each.start for each in self.read.words]))

    def _token(self, number: int) -> str:
        return self._spelling.written(number)


def label_number(labels: tuple[str, ...], wanted: str) -> int:
    """The number of a label, whatever its case.

    Raises:
        UsageError: there is no such label, or several.
    """
    found = [i for i, each in enumerate(labels) if each.casefold() == wanted.casefold()]
    if len(found) != 1:
        few = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
        raise UsageError(f"the model has no label {wanted!r}", hint=f"{did_you_mean(wanted, labels)}Labels are {few}.")
    return found[0]


def kl_divergence(before: Doubles, after: Doubles) -> float:
    """KL(p ‖ p′) in nats, of two distributions' log-probabilities (V,) (Kullback & Leibler 1951)."""
    found = np.where(before > -np.inf, np.exp(before) * (before - after), 0).sum()
    return float(max(found, 0.0))


def controls(effects: Mapping[tuple[Any, ...], float]) -> dict[tuple[Any, ...], tuple[float, float, float]]:
    """The median, the lowest and the highest effect of the other heads of each head's layer.

    Args:
        effects: by place, (…, layer, head).
    """
    found: dict[tuple[Any, ...], tuple[float, float, float]] = {}
    for place in effects:
        others = [each for other, each in effects.items() if other[:-1] == place[:-1] and other != place]
        found[place] = (float(np.median(others)), min(others), max(others)) if others else (np.nan, np.nan, np.nan)
    return found


def _mean_change(outcome: Outcome, plain: Outcome) -> float:
    if outcome.losses is None or plain.losses is None or not len(plain.losses):
        return float("nan")
    return float(_array(outcome.losses).mean() - _array(plain.losses).mean())


def _kl(p: Doubles, q: Doubles) -> Doubles:
    return np.where(
        p > 0, p * np.log(np.divide(p, np.maximum(q, np.finfo(float).tiny), where=p > 0, out=np.ones_like(p))), 0
    )


def _log_softmax(logits: Doubles) -> Doubles:
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))


def _cosines(one: Doubles, other: Doubles) -> Doubles:
    """1 − cos of each row (n,), at least 0."""
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    cosine = (one * other).sum(-1) / np.where(lengths > 0, lengths, 1)
    return np.asarray((1 - cosine).clip(min=0))


def _array(found: Any) -> Doubles:
    if found is None:
        raise ValueError("the model does not say this")
    return np.asarray(found.double().cpu().numpy(), np.float64)
