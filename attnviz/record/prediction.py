"""What a classifier says of a text, or of each of its tokens: its labels and their probabilities."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attnviz.encoding import Encoding

Problem = Literal["single_label", "multi_label", "regression"]
_LISTED = 5
"""How many labels of a text are named."""
_WORDS = 10
"""How many words that have a label are named."""
_LONGEST = 40
_OUTSIDE = "O"
"""The label of words outside of everything, by the usual convention (Ramshaw & Marcus 1995)."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The output of a classification head.

    Attributes:
        labels: the names of the labels (K,), as the model's config has them.
        logits: the scores of the labels, (K,) of a text or (tokens, K).
        problem: ``single_label``: the probabilities are a softmax; ``multi_label``: each is a sigmoid, as several
            labels may hold; ``regression``: the scores themselves are meant.
    """

    labels: tuple[str, ...]
    logits: NDArray[np.floating[Any]]
    problem: Problem = "single_label"

    @property
    def per_token(self) -> bool:
        """Whether each token has its own label."""
        return self.logits.ndim == 2

    @property
    def values(self) -> NDArray[np.float64]:
        """The probabilities, in the shape of ``logits``; for a regression the scores."""
        scores = self.logits.astype(np.float64)
        if self.problem == "regression":
            return scores
        if self.problem == "multi_label":
            found: NDArray[np.float64] = np.exp(-np.logaddexp(0, -scores))
            return found
        exact = np.exp(scores - scores.max(-1, keepdims=True))
        found = exact / exact.sum(-1, keepdims=True)
        return np.asarray(found)

    @property
    def best(self) -> tuple[str, ...]:
        """The label with the highest score: of the text, or of each token."""
        return tuple(self.labels[i] for i in np.atleast_1d(self.logits.argmax(-1)))

    def describe(self, encoding: Encoding) -> str:
        """Say it in one line: ``label: POSITIVE 98.2 % · NEGATIVE 1.8 %``, or the labels of the words of ``encoding``.

        A word has the label of its first token. Words with the label O, or where there is none with the most frequent
        label, are left out.
        """
        if self.per_token:
            return f"labels: {self._of_words(encoding)}"
        values = self.values
        if self.problem == "regression":
            shown = [f"{values[i]:.4g}" if len(values) == 1 else self._pair(i, values) for i in range(len(values))]
            return f"value: {_listed(shown, _LISTED)}"
        order = np.argsort(-values, kind="stable")
        return f"label: {_listed([self._pair(int(i), values) for i in order], _LISTED)}"

    def _of_words(self, encoding: Encoding) -> str:
        words = [word for word in encoding.words if not encoding.special[word.start]]
        names, values = self.best, self.values
        found = Counter(names[word.start] for word in words)
        usual = _OUTSIDE if _OUTSIDE in self.labels or not found else found.most_common(1)[0][0]
        shown = [
            f"{_plain(word.text)} {self._pair(int(self.logits[word.start].argmax()), values[word.start])}"
            for word in words
            if names[word.start] != usual
        ]
        rest = f"{'all others' if shown else 'all words'} {_plain(usual)}"
        if len(shown) == len(words):
            return _listed(shown, _WORDS)
        return f"{_listed(shown, _WORDS)}; {rest}" if shown else rest

    def _pair(self, label: int, values: NDArray[np.float64]) -> str:
        value = f"{values[label]:.4g}" if self.problem == "regression" else f"{100 * values[label]:.1f} %"
        return f"{_plain(self.labels[label])} {value}"


def prediction_facts(prediction: Prediction) -> dict[str, Any]:
    """The prediction as JSON says it, with the probabilities, and the label with the highest score."""
    best = prediction.best
    return {
        "of": "token" if prediction.per_token else "text",
        "problem": prediction.problem,
        "labels": list(prediction.labels),
        "logits": _rounded(prediction.logits),
        "values": _rounded(prediction.values),
        "label": list(best) if prediction.per_token else best[0],
    }


def _rounded(values: NDArray[np.floating[Any]]) -> list[Any]:
    """The numbers in nine significant digits, which float32 needs; NaN and infinity, which JSON lacks, as null."""
    if values.ndim > 1:
        return [_rounded(row) for row in values]
    return [float(f"{value:.9g}") if np.isfinite(value) else None for value in values]


def _listed(shown: list[str], most: int) -> str:
    more = f" · and {len(shown) - most:,} more" if len(shown) > most else ""
    return " · ".join(shown[:most]) + more


def _plain(name: str) -> str:
    """A stranger's name as printable text that is not long."""
    kept = "".join(sign if sign.isprintable() else "�" for sign in name[:_LONGEST])
    return f"{kept}…" if len(name) > _LONGEST else kept
