"""The tour of all model types: each that reads text runs natively, hosted or observed, or is refused with a reason.

``python -m pytest tests/model -m zoo --report`` writes what it finds to ``attnviz/model/model_types.json``, type by
type, from which ``attnviz models`` and the manual list them; with ``--missing`` only the types that the file lacks.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import transformers

from attnviz.model.families import ALIASES, FAMILIES
from tests.model.tiny_configs import CARE, NOT_TEXT
from tests.model.zoo import is_text, model_types, read_tour, visit, write_row

SAID = read_tour()
AGAIN = "python -m pytest tests/model -m zoo --report -k"


@pytest.mark.zoo
@pytest.mark.parametrize("kind", model_types())
def test_every_type_runs_or_is_refused_with_a_reason(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--missing") and (kind in SAID["text"] or kind in SAID["other"]):
        return
    row = visit(kind, tmp_path / "model") if is_text(kind) else None
    if request.config.getoption("--report"):
        write_row(kind, row)
    elif row is None:
        assert kind in SAID["other"], f"{AGAIN} {kind}"
    else:
        said = SAID["text"].get(kind, {})
        assert {**said, "apart": 0} == {**row, "apart": 0}, f"{AGAIN} {kind}"


@pytest.mark.skipif(SAID["transformers"] != transformers.__version__, reason="the tour was in another transformers")
def test_the_table_has_every_model_type_of_transformers() -> None:
    assert {*SAID["text"], *SAID["other"]} == set(model_types())
    assert not set(SAID["text"]) & set(SAID["other"])
    assert {*CARE, *NOT_TEXT} <= set(model_types())


def test_the_native_types_are_those_that_have_a_family() -> None:
    native = {kind for kind, row in SAID["text"].items() if row["backend"] == "native"}
    # The tour visits one that attends in blocks, and one with layers that do not attend, as there are on the Hub.
    families = {*FAMILIES, *ALIASES} - {"bigbird_pegasus", "granitemoehybrid"}
    expected = {kind for kind, row in SAID["text"].items() if row.get("saved_as", kind) in families}
    assert native == expected, f"{AGAIN} '{' or '.join(sorted(native ^ expected))}'"


def test_each_type_has_what_its_way_promises() -> None:
    for kind, row in SAID["text"].items():
        if row["backend"] in ("native", "hosted"):
            assert row["apart"] <= 1e-5, kind
            assert row["heads"] > 0, kind
        if row["backend"] == "refused":
            assert row["reason"], kind
    assert set(Counter(row["backend"] for row in SAID["text"].values())) <= {"native", "hosted", "observed", "refused"}
