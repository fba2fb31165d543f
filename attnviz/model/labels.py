"""What the config of a classifier says of its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from attnviz.checkpoint import Checkpoint
from attnviz.errors import ModelError
from attnviz.record import Array, Prediction, Problem

_ENDINGS = {"ForSequenceClassification": False, "ForTokenClassification": True}
_PROBLEMS: Mapping[str, Problem] = {
    "single_label_classification": "single_label",
    "multi_label_classification": "multi_label",
    "regression": "regression",
}


@dataclass(frozen=True)
class Labels:
    """The labels of a classifier.

    Args:
        each: whether it classifies each token, rather than the text.
        names: the names in the config by number.
        problem: what the scores mean, as far as the config says it.
    """

    each: bool
    names: Mapping[int, str]
    problem: Problem | None = None

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Labels | None:
        """Return the labels of the model in ``checkpoint``; None if it is no classifier."""
        config = checkpoint.config
        named = config.get("architectures") or [""]
        name = named[0] if isinstance(named, list) else ""
        ending = next((each for each in _ENDINGS if str(name).endswith(each)), None)
        if ending is None:
            return None
        said = config.get("id2label")
        names = said if isinstance(said, dict) else {}
        numbers = {int(key): str(value) for key, value in names.items() if str(key).isdecimal() and len(str(key)) < 9}
        return cls(_ENDINGS[ending], numbers, _PROBLEMS.get(str(config.get("problem_type"))))

    def prediction(self, logits: Array) -> Prediction:
        """Name the ``logits`` (K,) of a text or (T, K) of its tokens. One score without a problem is a regression.

        Raises:
            ModelError: they are not finite.
        """
        count, logits = logits.shape[-1], logits.astype(np.float32)
        if not np.isfinite(logits).all():
            raise ModelError(
                "the head that classifies gives scores that are not finite", hint="Its weights are damaged."
            )
        problem: Problem = self.problem or ("regression" if count == 1 else "single_label")
        return Prediction(tuple(self.names.get(i, f"LABEL_{i}") for i in range(count)), logits, problem)


def end_token(config: Mapping[str, Any]) -> int | None:
    """Return the id of the token that ends a text; None if the config names none."""
    said = config.get("eos_token_id")
    return said if isinstance(said, int) else None


def pad_token(config: Mapping[str, Any]) -> int | None:
    """Return the id of the padding token; None if the config names none."""
    said = config.get("pad_token_id")
    return said if isinstance(said, int) else None
