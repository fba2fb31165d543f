"""Patching: which head, and which way, moves an answer back; held to single runs, and to a model made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

import attnviz
from attnviz.analysis.effects import path_patching
from attnviz.analysis.effects.patching import patch_heads
from attnviz.analysis.effects.places import HeadPlace
from attnviz.analysis.effects.sides import Sides, sides_of
from attnviz.attention.interventions import Freeze, Patch
from attnviz.attention.observers import Weights
from attnviz.attention.observers.changed import KeptContexts
from attnviz.errors import InputError, UsageError
from attnviz.model.outcomes import Readout
from attnviz.render.figure.head_maps import maps_of
from tests.analysis.test_ablation import BERT, TEXT, decoder, encoder, opened
from tests.analysis.test_circuits import induction_by_hand
from tests.model.test_classifiers import made, tokenizer

CLEAN, CORRUPT = "The bank approved the loan of the", "The river approved the loan of the"
ASKED = {"target": "loan", "against": "river"}


@pytest.fixture(scope="module")
def model() -> Any:
    return opened(decoder())


def readout(model: Any, text: str) -> Readout:
    return Readout(model.backend, *model.inputs(text))


def by_head(table: Any) -> dict[tuple[int, int], dict[str, Any]]:
    return {(row["layer"], row["head"]): row for row in table.rows()}


@pytest.mark.parametrize("what", ["output", "pattern"])
def test_each_row_is_a_run_of_its_own(model: Any, what: str) -> None:
    table = model.patch(CLEAN, CORRUPT, what=what, **ASKED)
    clean, corrupt = (model.encode(text) for text in (CLEAN, CORRUPT))
    kept, weights = KeptContexts(), Weights(model.backend.layers)
    model.backend.run(clean, [kept, weights])
    loan, river = (model.checkpoint.tokenizer.token_to_id(word) for word in ("loan", "river"))

    def difference(text: Any) -> float:
        found = model.backend.next_logits(model.backend.run(text))[-1]
        return float(found[loan] - found[river])

    before, after = difference(corrupt), difference(clean)
    assert table.about["clean_score"] == pytest.approx(after, abs=1e-10)
    assert table.about["corrupt_score"] == pytest.approx(before, abs=1e-10)
    rows = by_head(table)
    assert len(rows) == 12
    for (layer, head), row in rows.items():
        values = kept.found["self"][layer][head] if what == "output" else weights.layer(layer)[head]
        put = Patch(layer, head, values=values) if what == "output" else Freeze(layer, head, pattern=values)
        with model.backend.intervened([put]):
            moved = difference(corrupt)
        assert row["patched"] == pytest.approx(moved, abs=1e-9)
        assert row["share"] == pytest.approx((moved - before) / (after - before), abs=1e-6)
    sizes = [abs(row["share"]) for row in table.rows()]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) > 0.01


def test_a_text_in_place_of_itself_moves_nothing(model: Any) -> None:
    same = readout(model, CLEAN)
    target = sides_of(model.checkpoint.tokenizer, same, readout(model, CORRUPT), "loan", "river").target
    score = float(target(same.plain.logits.double()))
    sides = Sides(same, same, target, score, score)
    places = [HeadPlace("self", layer, head) for layer in range(3) for head in range(4)]
    table = patch_heads(sides, places)
    assert np.abs(table["change"]).max() < 1e-12
    assert np.isnan(table["share"]).all()
    assert table.ranked == "change"
    assert "they do not differ" in table.notes[0]
    edges = path_patching.edges_from(model.backend.network, HeadPlace("self", 0, 0))
    assert np.abs(path_patching.patch_paths(sides, edges)["change"]).max() < 1e-12


def test_the_one_edge_of_an_induction_model_is_found(tmp_path: Path) -> None:
    """The second head copies what follows its own token; it finds that by keys that the first head writes."""
    folder = induction_by_hand(tmp_path)
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    plain.post_processor = None
    plain.save(str(folder / "tokenizer.json"))
    model = attnviz.load(folder, dtype="float64")
    texts = "bank loan river bank", "the loan river bank"
    heads = by_head(model.patch(*texts, target="loan", against="river"))
    assert heads[0, 0]["share"] == pytest.approx(1, abs=0.01)
    assert heads[1, 0]["share"] == pytest.approx(1, abs=0.01)
    paths = {(row["to"], row["by"]): row["share"] for row in model.patch(*texts, **ASKED, path="0.0").rows()}
    assert paths.pop(("L1 H0", "key")) == pytest.approx(1, abs=0.01)
    assert set(paths) == {
        ("L0 MLP", ""), ("L1 H0", "query"), ("L1 H0", "value"), ("L1 MLP", ""), ("output", "")
    }  # fmt: skip
    assert max(map(abs, paths.values())) < 1e-6
    copies = {(row["to"], row["by"]): row["share"] for row in model.patch(*texts, **ASKED, path="1.0").rows()}
    assert copies["output", ""] == pytest.approx(1, abs=0.01)


def test_ways_and_who_reads_them(model: Any) -> None:
    table = model.patch(CLEAN, CORRUPT, path="0.1", **ASKED)
    rows = {(row["to"], row["by"]): row for row in table.rows()}
    assert len(rows) == 2 * (4 + 2 + 2) + 3 + 1
    assert rows["L1 H2–3", "key"]["to_head"] == 2
    assert rows["output", ""]["to_layer"] is None
    assert "Groups of 2 heads share keys and values" in " ".join(table.notes)
    assert "from" not in table.values
    one = model.patch(CLEAN, CORRUPT, path=[(0, 1), (2, 3)], **ASKED)
    assert {(row["to"], row["by"]) for row in one.rows()} == {
        ("L2 H3", "query"), ("L2 H2–3", "key"), ("L2 H2–3", "value")
    }  # fmt: skip
    for row in one.rows():
        assert row["patched"] == pytest.approx(rows[row["to"], row["by"]]["patched"], abs=1e-10)
    every = model.patch(CLEAN, CORRUPT, path="all", **ASKED)
    assert len(every) == sum(4 * (8 * (2 - layer) + 3 - layer + 1) for layer in range(3))
    assert model.patch(CLEAN, CORRUPT, path=(0, 1), **ASKED).to_pandas().equals(table.to_pandas())
    again = {(row["to"], row["by"]): row["patched"] for row in every.rows() if row["from"] == "L0 H1"}
    assert again == {at: pytest.approx(row["patched"], abs=1e-10) for at, row in rows.items()}
    through = model.patch(CLEAN, CORRUPT, path="0.1", through_mlps=True, **ASKED)
    assert len(through) == len(table) - 3
    assert {row["to"]: row["patched"] for row in through.rows()}["output"] != pytest.approx(
        rows["output", ""]["patched"], abs=1e-4
    )


def test_a_picture_has_maps_of_ways_by_query_key_and_value(model: Any, tmp_path: Path) -> None:
    table = model.patch(CLEAN, CORRUPT, path="0.1", **ASKED)
    query, key, value = maps_of(table)
    rows = {(row["to"], row["by"]): row["share"] for row in table.rows()}
    assert (query.layers, query.heads) == (["L1", "L2"], ["H0", "H1", "H2", "H3"])
    assert query.values[1, 3] == rows["L2 H3", "query"]
    assert key.values[0].tolist() == [rows["L1 H0–1", "key"]] * 2 + [rows["L1 H2–3", "key"]] * 2
    assert value.title == "by value"
    assert maps_of(model.patch(CLEAN, CORRUPT, path="all", **ASKED)) == []
    assert maps_of(model.patch(CLEAN, CORRUPT, path="2.1", **ASKED)) == []  # no head comes after
    table.plot().savefig(tmp_path / "ways.png")


def test_labels_of_a_classifier_move_back() -> None:
    model = opened(encoder("BertForSequenceClassification"))
    table = model.patch(CLEAN, CORRUPT, target="negative", against="POSITIVE")
    clean, corrupt = readout(model, CLEAN).plain.logits, readout(model, CORRUPT).plain.logits
    assert table.about["clean_score"] == pytest.approx(float(clean[0] - clean[1]), abs=1e-9)
    assert table.about["corrupt_score"] == pytest.approx(float(corrupt[0] - corrupt[1]), abs=1e-9)
    assert len(table) == 8
    assert len(model.patch(CLEAN, CORRUPT, path="0.0", target="NEUTRAL")) == 4 * 3 + 2 + 1
    with pytest.raises(UsageError, match="NEGATIVE, POSITIVE, NEUTRAL"):
        model.patch(CLEAN, CORRUPT, target="GOOD")
    each = opened(made("BertForTokenClassification", BERT).double())
    assert len(each.patch(CLEAN, CORRUPT)) == 8


def test_the_default_is_what_the_model_says_of_both(model: Any) -> None:
    table = model.patch(CLEAN, CORRUPT)
    says = [int(readout(model, text).plain.logits.argmax()) for text in (CLEAN, CORRUPT)]
    ids = [model.checkpoint.tokenizer.token_to_id(str(table.about[name]).strip()) for name in ("target", "against")]
    assert (ids if says[0] != says[1] else ids[:1]) == list(dict.fromkeys(says))


def test_heads_of_an_encoder_and_a_decoder(tiny_t5: Path) -> None:
    model = attnviz.load(tiny_t5, dtype="float64")
    table = model.patch(CLEAN, CORRUPT, **ASKED)
    kinds = {row["map"] for row in table.rows()}
    assert kinds == {"encoder", "decoder", "cross"}
    # the decoder has read its start alone, so that nothing of the corrupt text is in it before it looks there
    assert all(row["change"] == pytest.approx(0, abs=1e-12) for row in table.rows()
               if (row["map"], row["layer"]) == ("decoder", 0))  # fmt: skip
    some = model.patch(CLEAN, CORRUPT, attention="cross", heads=["0.0"], decoder_text="the loan of", **ASKED)
    assert [(row["map"], row["layer"], row["head"]) for row in some.rows()] == [("cross", 0, 0)]
    assert some.about["decoder_text"] == "the loan of"
    paths = model.patch(CLEAN, CORRUPT, attention="encoder", path="0.0", **ASKED)
    assert ("cross L0 H0", "key") in {(row["to"], row["by"]) for row in paths.rows()}
    assert ("cross L0 H0", "query") not in {(row["to"], row["by"]) for row in paths.rows()}


def test_hosted_models_are_patched_too_but_have_no_paths(monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    monkeypatch.setattr("attnviz.model.backends.hosted_reason", lambda _: "a test")
    hosted = attnviz.load((decoder(), tokenizer()), dtype="float64")
    assert hosted.backend.name == "hosted"
    for what in ("output", "pattern"):
        ours = by_head(model.patch(CLEAN, CORRUPT, what=what, **ASKED))
        theirs = by_head(hosted.patch(CLEAN, CORRUPT, what=what, **ASKED))
        assert all(theirs[at]["patched"] == pytest.approx(row["patched"], abs=1e-6) for at, row in ours.items())
    with pytest.raises(UsageError, match="has no paths here"):
        hosted.patch(CLEAN, CORRUPT, path="0.0", **ASKED)


def test_what_can_not_be_asked(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="differ in length, 9 and 10 tokens") as error:
        model.patch("The bank approved the loan of the", "The river of the bank approved the loan", **ASKED)
    rows = error.value.message.splitlines()[1:]
    assert [row.split() for row in rows] == [
        ["[CLS]", "the", "bank", "approved", "the", "loan", "of", "the", "[SEP]"],
        ["[CLS]", "the", "river", "of", "the", "bank", "approved", "the", "loan", "[SEP]"],
    ]
    assert rows[0].index("approved") == rows[1].index("of")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"corrupt": CLEAN}, "the same tokens: there is nothing to restore"),
        ({"target": "loan", "against": "loan"}, "are both the token"),
        ({"heads": ["0.9"]}, "layer 0 has no head 9: it has heads 0 to 3"),
        ({"path": "7.0"}, "there is no layer 7"),
        ({"path": "0.0,7.0"}, "there is no layer 7"),
        ({"path": "2.0,1.0"}, "nothing goes straight from L2 H0 to L1 H0"),
        ({"path": "0.0,1.*"}, "expected one head, two, or all"),
        ({"path": "0.0,1.0,2.0"}, "expected one head, two, or all"),
        ({"path": "first"}, "'first' is no head"),
        ({"path": "0.0", "heads": ["0.1"]}, "both a path and heads"),
        ({"path": "0.0", "what": "pattern"}, "`what` is pattern"),
        ({"through_mlps": True}, "no `path` is given"),
        ({"what": "outputs"}, "Did you mean output"),
        ({"attention": "cross"}, "no cross attention"),
        ({"decoder_text": "the loan"}, "no decoder"),
    ]
    for given, message in cases:
        with pytest.raises(UsageError, match=message):
            model.patch(**{"clean": CLEAN, "corrupt": CORRUPT, **ASKED, **given})
    with pytest.raises(UsageError, match="no head that predicts tokens or labels"):
        opened(encoder()).patch(CLEAN, CORRUPT)
    monkeypatch.setattr(path_patching, "MOST", 1e6)
    with pytest.raises(UsageError, match=r"132 ways are too many: on this text, about \d+ take some minutes"):
        model.patch(CLEAN, CORRUPT, path="all", **ASKED)


def test_a_target_of_several_tokens_is_said(model: Any) -> None:
    table = model.patch(CLEAN, CORRUPT, target="loans", against="river")
    assert any("is 2 tokens" in note for note in table.notes)


def test_long_rows_of_tokens_stand_one_under_the_other(model: Any) -> None:
    with pytest.raises(InputError) as error:
        model.patch(f"{TEXT} {TEXT}", f"{TEXT} {TEXT} {TEXT}")
    rows = error.value.message.splitlines()[1:]
    assert max(map(len, rows)) <= 76
    assert len(rows) % 2 == 0
    assert len(rows) > 4


@pytest.mark.real
@pytest.mark.slow
def test_the_figures_of_the_manual(real_decoder: Path) -> None:
    """Names in SmolLM2: one head writes the answer, and another reads that there and speaks against it."""
    model = attnviz.load(real_decoder)
    clean = "When Mary and John went to the store, John gave a drink to"
    corrupt = "When Mary and John went to the store, Mary gave a drink to"
    asked = {"target": "Mary", "against": "John"}
    heads = by_head(model.patch(clean, corrupt, heads=["23.3", "24.4", "17.4"], **asked))
    assert [heads[at]["share"] for at in ((23, 3), (24, 4), (17, 4))] == [
        pytest.approx(each, abs=0.01) for each in (0.584, -0.25, 0.178)
    ]
    looks = by_head(model.patch(clean, corrupt, heads=["23.3", "17.4"], what="pattern", **asked))
    assert [looks[at]["share"] for at in ((23, 3), (17, 4))] == [
        pytest.approx(each, abs=0.01) for each in (-0.017, 0.178)
    ]
    ways = {row["by"]: row["share"] for row in model.patch(clean, corrupt, path="23.3,24.4", **asked).rows()}
    assert ways["query"] == pytest.approx(-0.162, abs=0.01)
    assert abs(ways["key"]) + abs(ways["value"]) < 0.05
