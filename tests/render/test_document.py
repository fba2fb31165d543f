from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from jsonschema import ValidationError

from attnviz.model.check.judge import Check, LayerCheck, RowCounts
from attnviz.record import AttentionRecord, Heads
from attnviz.render.document import check_document, summary_document
from tests.analysis.whole import in_words
from tests.records import Spelled, cross_record, query_mask, random_weights, record, summary_of, three_maps
from tests.schemas import validate

BANK: list[Spelled] = ["[CLS]", "The", "bank", "approved", "the", ("loans", ["loan", "##s"]), ".", "[SEP]"]
NOUNS = ("bank", "loan", "company", "river", "water", "money", "house", "stone", "cloud", "paper")


def bank() -> AttentionRecord:
    return record(BANK, random_weights((2, 3, 9)))


def check(apart: float = 2.4e-7, *, dtype: str = "float32", double: Check | None = None) -> Check:
    layers = LayerCheck("self", 0, apart / 2, 1e-8, 0, 3e-7), LayerCheck("self", 1, apart, 2e-8, 2, 4e-7)
    return Check(6, dtype, 1e-5 if dtype == "float32" else 1e-10, apart, layers[1], layers, double)


PASSED = check()
FAILED = check(0.02, double=check(0.019, dtype="float64"))


def made(attention: AttentionRecord, found: Check | None = None, **options: Any) -> dict[str, Any]:
    """Return the document as its reader gets it."""
    text = json.dumps(summary_document(summary_of(attention, **options), found), allow_nan=False)
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def test_a_note_and_who_attends_are_said() -> None:
    moved = replace(bank(), note="padding moved the weights by up to 0.2", backend="observed")
    found = made(moved)
    validate(found)
    assert (found["note"], found["backend"]) == (moved.note, "observed")
    assert made(bank())["note"] is None


@pytest.mark.parametrize("found", [None, PASSED, FAILED], ids=["not checked", "passed", "failed"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unit": "token"},
        {"special": True},
        {"everything": True},
        {"heads": Heads((0, 1), (0, 2))},
        {"heads": Heads(mean=True)},
        {"words": ["the:2"], "top": 1},
        {"cell": "entropy"},
        {"cell": "sink"},
        {"cell": "distance"},
    ],
)
def test_the_document_fits_the_schema(options: dict[str, Any], found: Check | None) -> None:
    validate(made(bank(), found, **options))


@pytest.mark.parametrize(
    "attention",
    [
        record(["[CLS]", "the", ".", "[SEP]"], random_weights((1, 1, 4))),
        record(["bank"], random_weights((1, 1, 1))),
        record(NOUNS, random_weights((2, 2, 10), causal=True, dtype="float64"), causal=True),
        record(NOUNS, np.stack([query_mask(-1, 10), random_weights((1, 1, 10))[0, 0]])[None]),
        record(["\x1b[31m", "日本", "\u202e"], random_weights((1, 1, 3)), pair="日本", dropped=3),
        record(NOUNS, random_weights((2, 2, 10)), numbers=(3, 7)),
        record(NOUNS, random_weights((2, 2, 10), causal=True), causal=True, generated=10),
        cross_record(NOUNS, BANK, random_weights((2, 2, 10, 9)), generated=3),
        cross_record(["[<s>]"], ["日本"], random_weights((1, 1, 1, 1))),
        three_maps(BANK, NOUNS, generated=2).encoder,
        three_maps(BANK, NOUNS, generated=2).decoder,
    ],
    ids=[
        "nothing counts", "one word", "causal", "a positional head", "escapes", "hybrid", "generated", "cross",
        "one word each", "encoder", "decoder",
    ],
)  # fmt: skip
def test_the_document_of_any_record_fits_the_schema(attention: AttentionRecord) -> None:
    validate(made(attention))


def test_the_schema_refuses_what_is_not_promised() -> None:
    good = made(bank(), PASSED)
    for bad in (good | {"more": 1}, {k: v for k, v in good.items() if k != "links"}, good | {"backend": "guessed"}):
        with pytest.raises(ValidationError):
            validate(bad)


def test_the_document_says_what_was_read() -> None:
    found = made(record(BANK, random_weights((2, 3, 9)), text="The bank …", pair="It\n", dropped=4))
    assert found["model"] == "tests/fixed"
    assert (found["backend"], found["layers"], found["heads"], found["unit"]) == ("native", 2, 3, "word")
    assert (found["text"], found["pair"], found["dropped_tokens"]) == ("The bank …", "It\n", 4)
    assert found["words"] == ["[CLS]", "The", "bank", "approved", "the", "loans", ".", "[SEP]"]
    assert found["tokens"][5:7] == ["loan", "##s"]
    assert found["word_spans"][5] == [5, 7]
    assert [found["tokens"][start:stop] for start, stop in found["word_spans"]][5] == ["loan", "##s"]


def test_texts_stand_in_it_as_they_are() -> None:
    # Cleaning is for screens; a program gets the characters themselves.
    found = made(record(["\x1b[31mred", "日本"], random_weights((1, 1, 2))))
    assert found["words"] == ["\x1b[31mred", "日本"]


def test_links_are_the_summarys_and_point_at_words_and_weights() -> None:
    attention = bank()
    summary, weights = summary_of(attention), in_words(attention).weights
    found = made(attention)
    assert len(found["links"]) == len(summary.links) > 0
    for link in [*found["links"], *(link for row in found["top_attended"] for link in row["best"])]:
        assert found["words"][link["query_index"]] == link["query"]
        assert found["words"][link["key_index"]] == link["key"]
        place = link["layer"], link["head"], link["query_index"], link["key_index"]
        assert link["weight"] == pytest.approx(weights[place], rel=1e-6)


def test_links_between_tokens_point_at_tokens() -> None:
    found = made(bank(), unit="token")
    assert found["unit"] == "token"
    assert all(found["tokens"][link["query_index"]] == link["query"] for link in found["links"])


def test_a_map_holds_the_weights_between_the_units_at_its_indices() -> None:
    attention = bank()
    weights = in_words(attention).weights
    (found,) = made(attention, heads=Heads((1,), (2,)))["maps"]
    assert (found["layer"], found["head"]) == (1, 2)
    assert found["indices"] == [1, 2, 3, 4, 5]
    expected = weights[1, 2][np.ix_(found["indices"], found["indices"])]
    np.testing.assert_allclose(found["weights"], expected, rtol=1e-6)


def test_a_map_of_one_text_says_its_indices_thrice_and_one_of_two_says_each() -> None:
    (found,) = made(bank())["maps"]
    assert found["indices"] == found["query_indices"] == found["key_indices"]
    attention = cross_record(["[<s>]", "Die", "Bank"], BANK, random_weights((2, 3, 3, 9)))
    (found,) = made(attention, heads=Heads((1,), (2,)))["maps"]
    assert (found["indices"], found["query_indices"], found["key_indices"]) == (None, [1, 2], [1, 2, 3, 4, 5])
    expected = in_words(attention).weights[1, 2][np.ix_(found["query_indices"], found["key_indices"])]
    np.testing.assert_allclose(found["weights"], expected, rtol=1e-6)


def test_the_document_of_a_cross_map_holds_both_texts() -> None:
    attention = cross_record(["[<s>]", "Die", "Bank"], BANK, random_weights((2, 3, 3, 9)), dropped=2)
    found = made(attention)
    assert found["map"] == "cross"
    assert (found["tokens"], found["dropped_tokens"]) == (["[<s>]", "Die", "Bank"], 2)
    keys = found["keys"]
    assert keys["tokens"] == list(record(BANK, random_weights((2, 3, 9))).tokens)
    assert (keys["words"][5], keys["word_spans"][5], keys["dropped_tokens"]) == ("loans", [5, 7], 0)
    assert (keys["text"], keys["pair"]) == ("The bank approved the loans .", None)
    assert len(found["links"]) > 0
    for link in [*found["links"], *(link for row in found["top_attended"] for link in row["best"])]:
        assert found["words"][link["query_index"]] == link["query"]
        assert keys["words"][link["key_index"]] == link["key"]
    for row in found["top_attended"]:
        assert all(keys["words"][key["key_index"]] == key["key"] for key in row["average"])


@pytest.mark.parametrize("name", ["encoder", "decoder", "cross"])
def test_the_document_says_which_map_it_is_of(name: str) -> None:
    found = made(getattr(three_maps(BANK, NOUNS), name))
    assert found["map"] == name
    assert (found["keys"] is None) is (name != "cross")
    assert made(bank())["map"] == "self"


def test_layers_are_named_by_their_own_numbers() -> None:
    found = made(replace(bank(), numbers=(3, 7)), heads=Heads((7,)))
    assert (found["layers"], found["layer_numbers"]) == (2, [3, 7])
    assert [the_map["layer"] for the_map in found["maps"]] == [7]
    assert {link["layer"] for link in found["links"]} <= {3, 7}
    assert made(bank())["layer_numbers"] == [0, 1]


@pytest.mark.parametrize("tokens", [False, True])
def test_new_tokens_are_listed_with_what_the_token_before_them_looked_at(*, tokens: bool) -> None:
    attention = record(BANK, random_weights((2, 3, 9), causal=True), causal=True, generated=3)
    found = made(attention, unit="token" if tokens else "word")
    assert found["generated_tokens"] == 3
    assert [(row["token"], row["token_index"]) for row in found["generated"]] == [("##s", 6), (".", 7), ("[SEP]", 8)]
    for row in found["generated"]:
        assert len(row["best"]) == 3
        for link in row["best"]:
            assert link["query_index"] == row["token_index"] - 1
            assert found["tokens"][link["key_index"]] == link["key"]
            place = link["layer"], link["head"], link["query_index"], link["key_index"]
            assert link["weight"] == pytest.approx(attention.weights[place], rel=1e-6)
        for key in row["average"]:
            assert found["tokens"][key["key_index"]] == key["key"]
            mean = attention.weights[:, :, row["token_index"] - 1, key["key_index"]].mean()
            assert key["weight"] == pytest.approx(mean, rel=1e-5)
    assert (made(bank())["generated"], made(bank())["generated_tokens"]) == ([], 0)


def test_a_mean_is_called_mean() -> None:
    assert [(m["layer"], m["head"]) for m in made(bank(), heads=Heads(mean=True))["maps"]] == [(0, "mean"), (1, "mean")]


def test_numbers_have_the_digits_of_float32() -> None:
    attention = bank()
    for row, values in zip(made(attention)["overview"]["values"], summary_of(attention).overview, strict=True):
        assert [np.float32(number) for number in row] == pytest.approx(values.astype(np.float32), rel=1e-6)
        assert all(len(str(number).replace("0.", "").lstrip("0")) <= 8 for number in row)


def test_a_head_that_is_left_out_is_null_in_the_overview_and_listed() -> None:
    weights = np.stack([random_weights((1, 1, 10))[0, 0], query_mask(-1, 10)])[None]
    found = made(record(NOUNS, weights))
    assert found["overview"]["values"][0][1] is None
    assert found["overview"]["values"][0][0] > 0
    assert found["positional_heads"] == [{"layer": 0, "head": 1, "offset": -1, "share": pytest.approx(0.9)}]


def test_entropy_of_nothing_is_zero_and_not_minus_zero() -> None:
    text = json.dumps(
        summary_document(
            summary_of(record(NOUNS, query_mask(0, 10)[None, None]), cell="entropy", everything=True), None
        )
    )
    assert "-0.0" not in text


def test_averages_are_of_all_heads() -> None:
    attention = bank()
    weights = in_words(attention).weights.mean((0, 1))
    for row in made(attention)["top_attended"]:
        for key in row["average"]:
            assert key["weight"] == pytest.approx(weights[row["query_index"], key["key_index"]], rel=1e-5)


def test_a_check_that_passed() -> None:
    assert made(bank(), PASSED)["check"] == {
        "passed": True,
        "max_abs_diff": 2.4e-7,
        "tolerance": 1e-5,
        "compared": "weights",
        "heads": 6,
        "against": "eager",
        "of": "what is shown",
        "inputs": {"differs": None, "unknown": None},
        "worst": {"map": "self", "layer": 1, "head": 2},
        "dtype": "float32",
        "rows": {},
        "layers": [
            {
                "map": "self",
                "layer": 0,
                "max_abs_diff": 1.2e-7,
                "mean_abs_diff": 1e-8,
                "worst_head": 0,
                "hidden_abs_diff": 3e-7,
            },
            {
                "map": "self",
                "layer": 1,
                "max_abs_diff": 2.4e-7,
                "mean_abs_diff": 2e-8,
                "worst_head": 2,
                "hidden_abs_diff": 4e-7,
            },
        ],
        "recomputed": None,
        "rounding": None,
        "wider": None,
        "written": None,
        "logits": None,
    }


def test_a_check_that_failed_holds_its_second_run() -> None:
    found = made(bank(), FAILED)["check"]
    assert (found["passed"], found["wider"]["passed"]) == (False, False)
    assert (found["wider"]["dtype"], found["wider"]["max_abs_diff"]) == ("float64", 0.019)


def test_a_check_of_hidden_states_and_of_three_maps() -> None:
    """Cross-attention has no states; where the model's own attention returns no weights, there are only states."""
    crossed = LayerCheck("cross", 0, 2e-7, 1e-8, 1, None)
    blind = LayerCheck("decoder", 3, None, None, None, 4e-7)
    found = [
        check_document(replace(PASSED, heads=heads, worst=one, layers=(one,)))
        for heads, one in ((6, crossed), (0, blind))
    ]
    assert [each["compared"] for each in found] == ["weights", "hidden states"]
    assert [each["worst"] for each in found] == [
        {"map": "cross", "layer": 0, "head": 1},
        {"map": "decoder", "layer": 3, "head": None},
    ]
    assert found[0]["layers"][0]["hidden_abs_diff"] is found[1]["layers"][0]["max_abs_diff"] is None
    for each in found:
        validate(made(bank()) | {"check": each})


def test_a_check_of_some_rows_says_how_many_of_each_map() -> None:
    layers = tuple(
        LayerCheck(kind, 0, 2e-7, 1e-8, 1, None, RowCounts(compared, total))
        for kind, compared, total in (("encoder", 64, 20000), ("decoder", 32, 32), ("cross", 32, 32))
    )
    found = check_document(replace(PASSED, layers=layers))
    few = {"compared": 32, "total": 32}
    assert found["rows"] == {"encoder": {"compared": 64, "total": 20000}, "decoder": few, "cross": few}
    validate(made(bank()) | {"check": found})


def test_no_check_is_null() -> None:
    assert made(bank())["check"] is None


def test_a_difference_that_is_no_number_is_null() -> None:
    # The reference may overflow; JSON knows neither NaN nor infinity.
    layers = (LayerCheck("self", 0, float("inf"), float("inf"), 0, float("nan")),)
    broken = replace(PASSED, max_abs_diff=float("inf"), layers=layers)
    found = json.loads(json.dumps(check_document(broken), allow_nan=False))
    assert (found["passed"], found["max_abs_diff"]) == (False, None)
    assert found["layers"][0]["hidden_abs_diff"] is None


def test_a_real_record_and_its_check_fit_the_schema(tiny_attention: AttentionRecord, tiny_model: Any) -> None:
    found = made(tiny_attention, tiny_model.check_record(tiny_attention))
    validate(found)
    assert found["check"]["passed"]
