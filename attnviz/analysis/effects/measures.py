"""How much what a model says changes: divergences, losses, differences of logits, cosines, probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.table import Column, written
from attnviz.errors import UsageError
from attnviz.model.targets import Target, end_logits
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


class Measures:
    """Measures outcomes of runs against that of the plain run.

    Args:
        readout: the model and its input.
        spelling: how its tokens are written.
        target: what is measured in particular, beside how much all of it changes.
    """

    def __init__(self, readout: Readout, spelling: Spelling, target: Target | None = None) -> None:
        self.sort, self.read = readout.sort, readout.read
        self._labels = readout.backend.labels
        self._plain, self._spelling = readout.plain, spelling
        self._target = target

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of what is measured; the first is the one that heads are ranked by."""
        against = self._target is not None and self._target.against is not None
        difference = replace(_DIFFERENCE, about=f"change of {self._target.title}") if self._target else _DIFFERENCE
        if self.sort == "states":
            return _POOLED, _WORDS, _WORD, _LARGEST
        if self.sort == "label":
            if self._regression:
                return (_SCORE,)
            first = (_LABELS, _CHANGE) if self._target is None else (_CHANGE, _LABELS)
            return (*((difference,) if against else ()), *first, _LABEL)
        if self._target is None:
            return _KL, _LOSS, _PROBABILITY, _NEXT
        return (difference if against else _LOG_PROBABILITY), _KL, _LOSS, _PROBABILITY, _NEXT

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

    def words(self, outcome: Outcome) -> Doubles:
        """The change of each word (W,): 1 − cos of its state, or the change of its loss.

        Raises:
            UsageError: of a classifier.
        """
        if self.sort == "label":
            raise UsageError(
                "a classifier says nothing of each word, so that there is no change word by word",
                hint="Leave out --by-word: the change of the labels is measured.",
            )
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
            return {"labels": dict(zip(prediction.labels, values.tolist(), strict=True)), **self._named(plain)}
        p = np.exp(_log_softmax(_array(plain.logits)))
        found = {"next": self._token(int(p.argmax())), "p": float(p.max()), **self._named(plain)}
        found["loss"] = float(_array(plain.losses).mean()) if plain.losses is not None and len(plain.losses) else None
        return found

    def plainly(self) -> str:
        """What the plain run says, in a sentence."""
        about = self.about()
        if self.sort == "states":
            return ""
        difference = about.get("logit_difference")
        difference = "" if difference is None else f", the logit difference is {written(difference, 'number')}"
        if self.sort == "label":
            said = ", ".join(
                f"{label} {written(value, 'number')}" for label, value in list(about["labels"].items())[:6]
            )
            return f"The plain run: {said}{difference}."
        loss = "" if about["loss"] is None else f", the mean loss {written(about['loss'], 'number')} nats"
        return (
            f"In the plain run the next token is {about['next']!r} ({written(about['p'], 'share')}){difference}{loss}."
        )

    def _named(self, plain: Outcome) -> dict[str, Any]:
        if self._target is None:
            return {}
        found: dict[str, Any] = {"target": self._target.target.name}
        if self._target.against is not None:
            found |= {"against": self._target.against.name, "logit_difference": self._score(plain)}
        return found

    def _of_token(self, outcome: Outcome) -> dict[str, Any]:
        before, after = (_log_softmax(_array(each.logits)) for each in (self._plain, outcome))
        followed = int(before.argmax())
        found: dict[str, Any] = {
            "kl": kl_divergence(before, after),
            "loss": _mean_change(outcome, self._plain),
            "p": float(np.exp(after[followed])),
            "next": self._token(int(after.argmax())),
        }
        if self._target is not None:
            number = self._target.target.number
            found["p"] = float(np.exp(after[number]))
            found |= self._changed(outcome) or {"log_p": float(after[number] - before[number])}
        return found

    def _changed(self, outcome: Outcome) -> dict[str, float]:
        """The change of the logit difference, if the target has one."""
        if self._target is None or self._target.against is None:
            return {}
        return {"difference": self._score(outcome) - self._score(self._plain)}

    def _score(self, outcome: Outcome) -> float:
        if self._target is None:
            raise ValueError("there is no target")
        return float(self._target(end_logits(outcome.logits).double()))

    def _prediction(self, outcome: Outcome) -> Prediction:
        labels: Labels | None = self._labels
        if labels is None:
            raise ValueError("the model has no labels")
        return labels.prediction(_array(outcome.logits))

    def _of_labels(self, outcome: Outcome) -> dict[str, Any]:
        before, after = self._prediction(self._plain), self._prediction(outcome)
        p, q = (np.atleast_2d(each.values) for each in (before, after))
        at = int(end_logits(self._plain.logits).argmax()) if self._target is None else self._target.target.number
        if before.problem == "regression":
            return {"score": float((q - p)[:, at].mean())}
        if before.problem == "multi_label":  # each label is a distribution of its own
            kl = sum(_kl(one, other).sum(-1) for one, other in ((p, q), (1 - p, 1 - q)))
        else:
            kl = _kl(p, q).sum(-1)
        best = int(end_logits(outcome.logits).argmax())
        found = {"kl": float(np.mean(kl)), "change": float((q - p)[:, at].mean()), "label": after.labels[best]}
        return found | self._changed(outcome)

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
