"""How a prediction is said, and read from files of strangers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.summary import summarise
from attnviz.errors import InputError
from attnviz.record import AttentionRecord, Prediction, Problem, read, save
from attnviz.render.document import summary_document
from attnviz.render.page.text import text_page
from tests.records import encoding_of, random_weights, record
from tests.render.browsers import unpacked
from tests.schemas import validate

HOSTILE = "\x1b[31m</script><b>\u202e" + "x" * 99


def of_text(*scores: float, problem: Problem = "single_label", labels: tuple[str, ...] = ()) -> Prediction:
    names = labels or tuple(f"L{i}" for i in range(len(scores)))
    return Prediction(names, np.array(scores, np.float32), problem)


@pytest.mark.parametrize(
    ("prediction", "said"),
    [
        (of_text(0, 4, labels=("NEGATIVE", "POSITIVE")), "label: POSITIVE 98.2 % · NEGATIVE 1.8 %"),
        (of_text(0, 4, problem="multi_label"), "label: L1 98.2 % · L0 50.0 %"),
        (of_text(2.31, problem="regression"), "value: 2.31"),
        (of_text(1, -2.5, problem="regression"), "value: L0 1 · L1 -2.5"),
        (of_text(*range(7)), "label: L6 63.3 % · L5 23.3 % · L4 8.6 % · L3 3.2 % · L2 1.2 % · and 2 more"),
        (of_text(1000, -1000), "label: L0 100.0 % · L1 0.0 %"),
    ],
)
def test_in_words(prediction: Prediction, said: str) -> None:
    assert prediction.describe(encoding_of(["a"])) == said


def test_tokens_in_words() -> None:
    encoding = encoding_of(["[CLS]", ("Berlin", ["ber", "##lin"]), "is", "big"])
    scores = np.array([[0, 9], [0, 4], [9, 0], [4, 0], [4, 0]], np.float32)
    said = Prediction(("O", "LOC"), scores).describe(encoding)
    assert said == "labels: Berlin LOC 98.2 %; all others O"
    assert Prediction(("O", "LOC"), scores[[0, 2, 2, 3, 4]]).describe(encoding) == "labels: all words O"
    assert Prediction(("X", "Y"), scores).describe(encoding).endswith("all others X")


def classified(prediction: Prediction) -> AttentionRecord:
    return replace(record(["[CLS]", "cats", "sleep"], random_weights((2, 2, 3))), prediction=prediction)


def test_labels_are_data(tmp_path: Path) -> None:
    found = classified(of_text(0, 1, labels=(HOSTILE, "B")))
    assert "\x1b" not in repr(found)
    assert "\u202e" not in repr(found)
    page = text_page([replay(found)])
    assert "label: B 73.1 %" in page
    assert unpacked(page)[0]["prediction"]["label"] == "B"
    assert "</script><b>" not in page
    save(found, tmp_path / "one.json")
    again = read(tmp_path / "one.json")
    assert isinstance(again, AttentionRecord)
    assert again.prediction
    assert again.prediction.labels[0] == HOSTILE


def test_document() -> None:
    document = summary_document(summarise(replay(classified(of_text(0, 4)))), None)
    validate(document)
    assert document["prediction"]["label"] == "L1"
    assert document["prediction"]["values"] == pytest.approx([0.01799, 0.98201], abs=1e-5)
    assert (
        summary_document(summarise(replay(record(["[CLS]", "cats", "sleep"], random_weights((2, 2, 3))))), None)[
            "prediction"
        ]
        is None
    )


DAMAGE: dict[str, dict[str, Any]] = {
    "no labels": {"labels": []},
    "labels that are no text": {"labels": [1, 2]},
    "another number of scores": {"logits": [1.0]},
    "scores that are text": {"logits": ["1", "2"]},
    "infinite scores": {"logits": [1e300, 0]},
    "no scores": {"logits": None},
    "rows of other tokens": {"of": "token", "logits": [[0, 1]]},
    "rows that are numbers": {"of": "token", "logits": [0, 1, 2]},
    "an unknown problem": {"problem": "other"},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged(damage: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    save(classified(of_text(0, 4)), path)
    facts = json.loads(path.read_text())
    validate(facts, "record")
    facts["prediction"] |= damage
    path.write_text(json.dumps(facts))
    with pytest.raises(InputError, match="not a record"):
        read(path)
