from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from attnviz.encoding import Encoding, Word
from attnviz.errors import InputError, UsageError
from attnviz.record import Array, AttentionRecord, EncoderDecoderRecord, Record, read, save, write
from attnviz.record.measure import ask_for
from tests.records import cross_record, encoding_of, random_weights, record, three_maps
from tests.schemas import validate

SUFFIXES = (".json", ".safetensors")


def example(dtype: str = "float32") -> AttentionRecord:
    """Return a record in which no field has its default: a pair, pieces, non-ASCII, a truncated text."""
    encoding = Encoding(
        text="The fin\tancials “你好” \x1b[31m",
        pair="\u202eIt's 😀",
        ids=(2, 5, 7, 8, 3, 9),
        type_ids=(0, 0, 0, 0, 1, 1),
        tokens=("[CLS]", "the", "financial", "##s", "[SEP]", "\\xf0"),
        special=(True, False, False, False, True, False),
        words=(
            Word("[CLS]", 0, 1),
            Word("The", 1, 2),
            Word("financials", 2, 4),
            Word("[SEP]", 4, 5),
            Word("😀", 5, 6),
        ),
        dropped=3,
        generated=2,
    )
    weights = random_weights((2, 3, 6), causal=True, dtype=dtype)
    return AttentionRecord("someone/model", "hosted", True, encoding, weights, numbers=(3, 7))


def cross_example(dtype: str = "float32") -> AttentionRecord:
    """A cross map of 6 target tokens, 2 of them generated, and 4 source tokens."""
    one = example()
    keys = replace(encoding_of(["[CLS]", "naïve", ("bänke", ["bän", "\\xf0"])]), pair="“", dropped=1)
    return replace(one, causal=False, kind="cross", keys=keys, weights=random_weights((2, 3, 6, 4), dtype=dtype))


def three(dtype: str = "float32") -> EncoderDecoderRecord:
    cross = cross_example(dtype)
    assert cross.keys
    encoder = replace(cross, encoding=cross.keys, keys=None, kind="encoder", weights=random_weights((3, 2, 4)))
    decoder = replace(cross, keys=None, kind="decoder", causal=True, weights=random_weights((2, 3, 6), causal=True))
    return EncoderDecoderRecord(replace(encoder, numbers=()), decoder, cross)


EXAMPLES: dict[str, Callable[[str], Record]] = {"one text": example, "cross": cross_example, "three maps": three}


def assert_same(read_back: Record, record: Record) -> None:
    if isinstance(record, EncoderDecoderRecord):
        assert isinstance(read_back, EncoderDecoderRecord)
        for name in ("encoder", "decoder", "cross"):
            assert_same(getattr(read_back, name), getattr(record, name))
        return
    attention = record
    assert type(read_back) is AttentionRecord
    facts = {name: value for name, value in vars(attention).items() if name != "weights"}
    assert {name: value for name, value in vars(read_back).items() if name != "weights"} == facts
    assert read_back.weights.dtype == attention.weights.dtype
    np.testing.assert_array_equal(read_back.weights, attention.weights)


def json_of(path: Path) -> Any:
    """The JSON of a record: all of it, or the metadata of a safetensors file."""
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["attnviz"])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("made", EXAMPLES.values(), ids=EXAMPLES)
def test_a_record_comes_back_exactly(tmp_path: Path, suffix: str, dtype: str, made: Callable[[str], Record]) -> None:
    path, record = tmp_path / f"record{suffix}", made(dtype)
    write(record, path, suffix)
    validate(json_of(path), "record")
    assert_same(read(path), record)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_weights_that_are_a_view_come_back_exactly(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"record{suffix}"
    attention = record(["[CLS]", "a", "b"], random_weights((3, 2, 3)).swapaxes(0, 1))
    write(attention, path, suffix)
    assert_same(read(path), attention)


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(SUFFIXES), st.sampled_from(["float32", "float64"]), st.floats(0, 1), st.text(max_size=8))
def test_any_weight_and_any_text_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, dtype: str, weight: float, text: str
) -> None:
    path = tmp_path_factory.mktemp("record") / f"record{suffix}"
    first = np.dtype(dtype).type(weight)
    weights = np.array([[[[first, 1 - first], [0, 1]]]], dtype)
    attention = record(["a", "b"], weights, text=text)
    write(attention, path, suffix)
    assert_same(read(path), attention)


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Any record: sizes, texts, kinds, layer numbers and generated tokens are drawn."""
    n, m, layers, heads = (draw(st.integers(1, 4)) for _ in range(4))
    word = st.text(min_size=1, max_size=4)
    queries, keys = (draw(st.lists(word, min_size=size, max_size=size)) for size in (n, m))
    generated = draw(st.integers(0, n))
    if draw(st.booleans()):
        return three_maps(keys, queries, (layers, heads), generated=generated)
    numbers = draw(
        st.one_of(
            st.just(()),
            st.lists(st.integers(0, 99), min_size=layers, max_size=layers, unique=True).map(sorted).map(tuple),
        )
    )
    facts = {"numbers": numbers, "generated": generated}
    if draw(st.booleans()):
        return cross_record(queries, keys, random_weights((layers, heads, n, m)), **facts)
    return record(queries, random_weights((layers, heads, n), causal=True), causal=True, **facts)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(SUFFIXES), records())
def test_any_record_comes_back_exactly(tmp_path_factory: pytest.TempPathFactory, suffix: str, drawn: Record) -> None:
    path = tmp_path_factory.mktemp("record") / f"record{suffix}"
    write(drawn, path, suffix)
    validate(json_of(path), "record")
    assert_same(read(path), drawn)


def test_the_json_is_plain_json_of_stable_names(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write(example(), path, ".json")
    facts = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert (facts["format"], facts["schema_version"]) == ("attnviz.attention/3", 3)
    assert facts["words"][2] == ["financials", 2, 4]
    assert np.shape(facts["weights"]) == (2, 3, 6, 6)
    assert (facts["kind"], facts["keys"], facts["numbers"], facts["generated"]) == ("self", None, [3, 7], 2)


def test_the_json_of_three_maps_has_each_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write(three(), path, ".json")
    facts = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert list(facts) == ["format", "schema_version", "encoder", "decoder", "cross"]
    assert [facts[name]["kind"] for name in list(facts)[2:]] == ["encoder", "decoder", "cross"]
    assert facts["cross"]["keys"]["tokens"] == facts["encoder"]["tokens"]
    assert np.shape(facts["cross"]["weights"]) == (2, 3, 6, 4)


FIRST = {
    "format": "attnviz.attention/1", "model": "someone/model", "path": "native", "causal": True, "text": "a bc",
    "pair": None, "ids": [5, 6, 7], "type_ids": [0, 0, 0], "tokens": ["a", "b", "##c"],
    "special": [False, False, False], "words": [["a", 0, 1], ["bc", 1, 3]], "dropped": 1,
}  # fmt: skip
"""The facts of a file as the first format has them."""
SECOND = FIRST | {
    "format": "attnviz.attention/2", "path": "hosted", "kind": "self", "keys": None, "numbers": [3, 7], "generated": 1,
}  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("facts", [FIRST, SECOND])
def test_files_of_the_older_formats_are_read(tmp_path: Path, suffix: str, facts: dict[str, Any]) -> None:
    path, weights = tmp_path / f"record{suffix}", random_weights((2, 1, 3), causal=True)
    if suffix == ".json":
        path.write_text(json.dumps(facts | {"dtype": "float32", "weights": weights.tolist()}))
    else:
        safetensors(path, weights, attnviz=json.dumps(facts))
    encoding = Encoding(
        "a bc", None, (5, 6, 7), (0, 0, 0), ("a", "b", "##c"), (False,) * 3, (Word("a", 0, 1), Word("bc", 1, 3)), 1
    )
    expected = AttentionRecord("someone/model", "native", True, encoding, weights)
    if facts is SECOND:
        expected = replace(expected, backend="hosted", numbers=(3, 7), encoding=replace(encoding, generated=1))
    assert_same(read(path), expected)


@pytest.mark.parametrize("made", EXAMPLES.values(), ids=EXAMPLES)
def test_records_of_versions_before_the_schema_are_read(tmp_path: Path, made: Callable[[str], Record]) -> None:
    path, before = tmp_path / "record.json", made("float32")
    write(before, path, ".json")
    facts = json.loads(path.read_text(encoding="utf-8"))
    del facts["schema_version"]
    path.write_text(json.dumps(facts))
    assert_same(read(path), before)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_name_with_escapes_and_spaces_works(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a \x1b[31m b\n你好{suffix}"
    write(example(), path, suffix)
    assert_same(read(path), example())


def test_nothing_is_written_under_a_suffix_that_can_not_be_read_back(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.png.*expected .*\.json"):
        write(example(), tmp_path / "record.png", ".png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_record_is_saved_whole_or_not_at_all(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"record{suffix}"
    save(example(), path)
    before = path.read_bytes()
    script = (
        "import resource, sys; from pathlib import Path; from attnviz.errors import UsageError\n"
        "from attnviz import record\nresource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: record.save(record.read(Path(sys.argv[1])), Path(sys.argv[1]))\nexcept UsageError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert f"{path} can't be written (File too large" in done.stdout
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def test_a_record_is_not_saved_under_another_ending(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"record\.png ends in '\.png', expected"):
        save(example(), tmp_path / "record.png")
    with pytest.raises(UsageError, match=r"can't be written \(embedded null"):
        save(example(), tmp_path / "a\0b.json")
    with pytest.raises(UsageError, match=r"can't be written \(No such file"):
        save(example(), tmp_path / "no" / "record.json")
    assert list(tmp_path.iterdir()) == []


def test_a_record_knows_its_sizes() -> None:
    attention = example()
    assert (attention.layers, attention.heads) == (2, 3)
    assert attention.words == ("[CLS]", "The", "financials", "[SEP]", "😀")
    assert attention.tokens == attention.encoding.tokens
    assert repr(attention) == "<Attention of someone/model: 2 layers × 3 heads, 6 tokens, 5 words>"
    assert (attention.key_encoding, attention.key_tokens) == (attention.encoding, attention.tokens)
    assert attention.key_words == attention.words


def test_a_cross_map_knows_both_its_texts() -> None:
    attention = cross_example()
    assert attention.tokens == example().tokens
    assert attention.key_tokens == ("[CLS]", "naïve", "bän", "\\xf0")
    assert attention.key_words == ("[CLS]", "naïve", "bänke")
    assert "6 target tokens look at 4 source tokens" in repr(attention)


def test_layers_have_the_models_own_numbers() -> None:
    assert example().layer_numbers == (3, 7)
    assert replace(example(), numbers=()).layer_numbers == (0, 1)


def test_three_maps_say_what_they_are() -> None:
    assert three().model == "someone/model"
    assert repr(three()) == (
        "<EncoderDecoder of someone/model: encoder 3 layers × 2 heads, decoder 2 layers × 3 heads, "
        "4 source and 6 target tokens>"
    )


# Damaged files


def drop(*names: str) -> Callable[[dict[str, Any]], None]:
    def damage(facts: dict[str, Any]) -> None:
        for name in names:
            del facts[name]

    return damage


def change(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda facts: facts.update(values)


def first_weight(value: Any) -> Callable[[dict[str, Any]], None]:
    def damage(facts: dict[str, Any]) -> None:
        facts["weights"][0][0][0][0] = value

    return damage


DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "no tokens": (drop("tokens"), "tokens"),
    "no dtype": (drop("dtype"), "dtype"),
    "no weights": (drop("weights"), "weights"),
    "no format": (drop("format"), "format"),
    "a later format": (change(format="attnviz.attention/4"), "'attnviz.attention/4', expected 'attnviz.attention/3'"),
    "a later schema": (change(schema_version=4), "its schema_version is 4, expected 1 to 3"),
    "a schema that is no number": (change(schema_version="3"), "its schema_version is '3', expected 1 to 3"),
    "whole numbers": (change(dtype="int64"), "its weights are 'int64', expected floating point"),
    "no such dtype": (change(dtype="nonsense"), "nonsense"),
    "no layers": (change(weights=[]), r"shape \(0,\), expected \(layers, heads, 6, 6\)"),
    "two tokens": (change(weights=[[[[0.5, 0.5]] * 2]]), r"shape \(1, 1, 2, 2\), expected \(layers, heads, 6, 6\)"),
    "weights are text": (change(weights="none"), "not a record"),
    "a row too few": (lambda facts: facts["weights"][0][0].pop(), "not a record"),
    "a weight too few": (lambda facts: facts["weights"][0][0][0].pop(), "not a record"),
    "NaN": (first_weight(float("nan")), "NaN or infinity"),
    "infinity": (first_weight(float("inf")), "NaN or infinity"),
    "null": (first_weight(None), "hold NoneType, expected numbers"),
    "a weight is text": (first_weight("0.5"), "hold str, expected numbers"),
    "a weight is true": (first_weight(True), "hold bool, expected numbers"),
    "a weight beyond the type": (first_weight(1e300), "NaN or infinity"),
    "types of 2 GB": (change(dtype="<U500000000"), "expected floating point"),
    "no type": (change(dtype=[]), "expected floating point"),
    "a row of 1.001": (first_weight(1.001), r"sums to 1\.001, expected 1 at most"),
    "a row of 2": (change(weights=[[[[1.0, 1.0] + [0.0] * 4] * 6]], causal=False, numbers=[]), "sums to 2"),
    "a later key is seen": (change(weights=[[[[0.5, 0.5] + [0.0] * 4] * 6]], numbers=[]), "looks at a later key"),
    "a weight is an object": (first_weight({}), "not a record"),
    "a weight of 400 digits": (first_weight(10**400), "not a record"),
    "a negative weight": (first_weight(-0.5), "not a record"),
    "a weight beyond 1": (first_weight(1e9), "not a record"),
    "marks too few": (change(special=[True]), "do not belong together"),
    "types too many": (change(type_ids=[0] * 7), "do not belong together"),
    "no words": (change(words=[]), "do not belong together"),
    "words overlap": (change(words=[["a", 0, 3], ["b", 2, 6]]), "do not belong together"),
    "words leave a gap": (change(words=[["a", 0, 3], ["b", 4, 6]]), "do not belong together"),
    "an empty word": (change(words=[["a", 0, 0], ["b", 0, 6]]), "do not belong together"),
    "words beyond the end": (change(words=[["a", 0, 7]]), "do not belong together"),
    "a word without its end": (change(words=[["a", 0]]), "not a record"),
    "no ids": (change(ids=None), "not a record"),
    "dropped is text": (change(dropped="many"), "not a record"),
    "more is cut off than there was": (change(dropped=10_000), "10,000 tokens are cut off from a text of"),
    "dropped is negative": (change(dropped=-1), "its dropped has -1, expected a count"),
    "an id is negative": (change(ids=[-1] * 6), "its ids has -1"),
    "an id is text": (change(ids=["1"] * 6), "its ids has '1', expected a number"),
    "an id is a fraction": (change(ids=[1.5] * 6), "its ids has 1.5"),
    "a mark is a number": (change(special=[0] * 6), "expected true or false"),
    "causal is text": (change(causal="no"), "its causal has 'no', expected true or false"),
    "no such way": (change(backend="sideways"), "its backend is 'sideways', expected native, hosted"),
    "the text is a number": (change(text=3), "its text has 3, expected text"),
    "the model is null": (change(model=None), "its model has None, expected text"),
    "dropped is infinite": (change(dropped=float("inf")), "not a record"),
    "a lone surrogate": (change(text="\ud800"), "not a record"),
    "a lone surrogate in the model's name": (change(model="\ud800"), "not a record"),
    "more digits than can be saved": (change(dtype="float128"), "float128"),
    "no kind": (drop("kind"), "kind"),
    "no such kind": (change(kind="sideways"), "'sideways', expected self, encoder, decoder, cross"),
    "a cross map of one text": (change(kind="cross", causal=False), "does not go with its keys"),
    "more generated than there are": (change(generated=7), "7 of its 6 tokens are generated"),
    "fewer generated than none": (change(generated=-1), "its generated has -1"),
    "generated is text": (change(generated="all"), "not a record"),
    "one number for two layers": (change(numbers=[3]), r"the numbers \(3,\), expected 2 that grow"),
    "numbers that repeat": (change(numbers=[3, 3]), r"the numbers \(3, 3\)"),
    "numbers that fall": (change(numbers=[3, 1]), r"the numbers \(3, 1\)"),
    "a negative number": (change(numbers=[-1, 3]), "its numbers has -1"),
    "numbers are one number": (change(numbers=3), "not a record"),
}

KEYS_DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "no keys": (change(keys=None), "does not go with its keys"),
    "a self map of two texts": (change(kind="self"), "does not go with its keys"),
    "a causal cross map": (change(causal=True), "being causal"),
    "keys without tokens": (lambda facts: facts["keys"].update(tokens=[]), "do not belong together"),
    "one key too few": (
        lambda facts: facts["keys"].update(
            ids=[1, 2, 3], type_ids=[0] * 3, tokens=["a"] * 3, special=[False] * 3, words=[["a", 0, 3]]
        ),
        r"shape \(2, 3, 6, 4\), expected \(layers, heads, 6, 3\)",
    ),
    "keys that end": (lambda facts: facts["keys"].pop("words"), "words"),
    "a lone surrogate in the keys": (lambda facts: facts["keys"].update(text="\ud800"), "surrogates"),
    "weights the other way round": (
        lambda facts: facts.update(weights=np.swapaxes(facts["weights"], -1, -2).tolist()),
        r"shape \(2, 3, 4, 6\), expected \(layers, heads, 6, 4\)",
    ),
}


def first_weights_ahead(facts: dict[str, Any]) -> None:
    facts["weights"][0][0][0] = [0.0] * 5 + [1.0]


def in_part(name: str, damage: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    return lambda facts: damage(facts[name])


THREE_DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "two maps": (drop("decoder"), "decoder"),
    "three maps of no format": (drop("format"), "format"),
    "two maps exchanged": (
        lambda facts: facts.update(encoder=facts["decoder"], decoder=facts["encoder"]),
        "three maps do not belong together",
    ),
    "maps of two models": (in_part("encoder", change(model="other")), "three maps do not belong together"),
    "maps of two ways": (in_part("decoder", change(backend="native")), "three maps do not belong together"),
    "maps of two sources": (in_part("encoder", change(text="other")), "three maps do not belong together"),
    "maps of two targets": (in_part("decoder", change(generated=1)), "three maps do not belong together"),
    "a map is a list": (change(encoder=[]), "not a record"),
    "a map has no weights": (in_part("cross", drop("weights")), "weights"),
    "a decoder that looks ahead": (in_part("decoder", first_weights_ahead), "looks at a later key"),
    "a map with NaN": (in_part("decoder", first_weight(float("nan"))), "NaN or infinity"),
}
ALL_DAMAGES = [
    *((example(), *damage) for damage in DAMAGES.values()),
    *((cross_example(), *damage) for damage in KEYS_DAMAGES.values()),
    *((three(), *damage) for damage in THREE_DAMAGES.values()),
]


@pytest.mark.parametrize(("whole", "damage", "said"), ALL_DAMAGES, ids=[*DAMAGES, *KEYS_DAMAGES, *THREE_DAMAGES])
def test_a_damaged_record_is_refused_and_the_damage_said(
    tmp_path: Path, whole: Record, damage: Callable[[dict[str, Any]], None], said: str
) -> None:
    path = tmp_path / "record.json"
    write(whole, path, ".json")
    facts = json.loads(path.read_bytes())
    damage(facts)
    path.write_text(json.dumps(facts))
    with pytest.raises(InputError, match=said) as caught:
        read(path)
    assert str(path) in caught.value.message
    assert "attnviz export" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"3", b'"text"', b"\xff\xfe", b"{}", b"[" * 100_000, b"\x89PNG\r\n"],
    ids=["empty", "cut", "a list", "null", "a number", "text", "not UTF-8", "no names", "nested deeply", "a PNG"],
)
def test_json_that_is_no_record_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not a record of attnviz"):
        read(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kept", [0, 7, 0.5, -1])
@pytest.mark.parametrize("made", EXAMPLES.values(), ids=EXAMPLES)
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, kept: float, made: Callable[[str], Record]) -> None:
    path = tmp_path / f"record{suffix}"
    write(made("float32"), path, suffix)
    whole = path.read_bytes().rstrip()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(InputError, match="is not a record of attnviz"):
        read(path)


def safetensors(path: Path, weights: Array, **metadata: str) -> Path:
    save_file({"weights": weights}, path, metadata=metadata or None)
    return path


def facts_of(attention: AttentionRecord, folder: Path) -> str:
    """The record's facts as the safetensors header holds them."""
    write(attention, folder / "facts.json", ".json")
    return json.dumps(json.loads((folder / "facts.json").read_bytes()) | {"weights": None})


class TestSafetensors:
    def test_a_checkpoint_is_no_record(self, tmp_path: Path) -> None:
        path = safetensors(tmp_path / "model.safetensors", example().weights)
        with pytest.raises(InputError, match="is not a record of attnviz"):
            read(path)

    def test_a_record_without_weights_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "record.safetensors"
        save_file({"other": example().weights}, path, metadata={"attnviz": facts_of(example(), tmp_path)})
        with pytest.raises(InputError, match="weights"):
            read(path)

    def test_three_maps_without_the_weights_of_one_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "record.safetensors"
        write(three(), path, ".safetensors")
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
        weights = load_file(path)
        assert sorted(weights) == ["cross.weights", "decoder.weights", "encoder.weights"]
        del weights["decoder.weights"]
        save_file(weights, path, metadata=metadata)
        with pytest.raises(InputError, match=r"decoder\.weights"):
            read(path)

    def test_weights_of_another_shape_are_refused(self, tmp_path: Path) -> None:
        facts = facts_of(example(), tmp_path)
        path = safetensors(tmp_path / "record.safetensors", random_weights((2, 3, 5)), attnviz=facts)
        with pytest.raises(InputError, match=r"shape \(2, 3, 5, 5\), expected \(layers, heads, 6, 6\)"):
            read(path)

    def test_weights_that_are_whole_numbers_are_refused(self, tmp_path: Path) -> None:
        facts = facts_of(example(), tmp_path)
        weights = np.eye(6, dtype=np.int64)[None, None]
        path = safetensors(tmp_path / "record.safetensors", weights, attnviz=facts)
        with pytest.raises(InputError, match="expected floating point"):
            read(path)

    def test_nan_is_refused(self, tmp_path: Path) -> None:
        facts, weights = facts_of(example(), tmp_path), example().weights.copy()
        weights[0, 0, 0, 0] = np.nan
        path = safetensors(tmp_path / "record.safetensors", weights, attnviz=facts)
        with pytest.raises(InputError, match="NaN or infinity"):
            read(path)


@pytest.mark.parametrize("name", ["record.txt", "record", "record.JSON.gz", "record.png"])
def test_another_suffix_is_refused_and_the_right_ones_said(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("{}")
    with pytest.raises(InputError, match=r"expected \.json or \.safetensors"):
        read(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_file_can_not_be_read(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(InputError, match=r"can't be read \(No such file or directory"):
        read(tmp_path / f"missing{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_folder_can_not_be_read(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    with pytest.raises(InputError, match="can't be read"):
        read(folder)


def test_a_file_without_permission_can_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "record.json").touch()
    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything
    with pytest.raises(InputError, match=r"can't be read \(Permission denied\)"):
        read(tmp_path / "record.json")


# Strangers' files


@pytest.mark.parametrize("kind", ["self", "cross"])
def test_weights_as_half_precision_rounds_them_are_read(tmp_path: Path, kind: str) -> None:
    exact = random_weights((2, 2, 40), dtype="float64")
    half = exact.astype(np.float16)
    bits = exact.astype(np.float32).view(np.uint32)
    brain = ((bits + 0x8000) & 0xFFFF0000).view(np.float32)  # rounded to bfloat16, and kept in float32
    for weights in (half, half.astype(np.float32), brain):
        assert weights.sum(-1, dtype=float).max() > 1.0001
        words = [f"w{i}" for i in range(40)]
        attention = record(words, weights) if kind == "self" else cross_record(words, words, weights)
        for suffix in SUFFIXES:
            write(attention, tmp_path / f"record{suffix}", suffix)
            assert_same(read(tmp_path / f"record{suffix}"), attention)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_larger_than_memory_is_refused_before_it_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"record{suffix}"
    write(example(), path, suffix)
    with pytest.raises(InputError, match=r"reading it would take 0\.0 GB of memory"):
        read(path, most=1000)
    if suffix == ".json":
        with path.open("ab") as file:
            file.truncate(10**13)  # of which nothing is on the disk
        with pytest.raises(InputError, match=r"would take 50,000\.0 GB"):
            read(path, most=10**10)


def test_a_small_file_of_many_objects_is_refused_before_they_are_made(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text("[" + "[]," * 100_000 + "[]]")
    with pytest.raises(InputError, match=r"would take 0\.0 GB of memory"):
        read(path, most=5_000_000)
    safetensors(path.with_suffix(".safetensors"), example().weights, attnviz=path.read_text())
    with pytest.raises(InputError, match=r"would take 0\.0 GB of memory"):
        read(path.with_suffix(".safetensors"), most=5_000_000)


def test_tensors_are_not_read_before_their_shape_fits(tmp_path: Path) -> None:
    path = tmp_path / "record.safetensors"
    huge = 10**12
    tensor = {"dtype": "F32", "shape": [huge // 4 // 25, 1, 5, 5], "data_offsets": [0, huge]}
    facts = json.loads(facts_of(example(), tmp_path))
    header = json.dumps({"__metadata__": {"attnviz": json.dumps(facts)}, "weights": tensor}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 8 + len(header) + huge)  # of which nothing is on the disk
    with pytest.raises(InputError, match=r"shape \(10000000000, 1, 5, 5\), expected \(layers, heads, 6, 6\)"):
        read(path)


def test_a_pipe_is_no_record(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "record.json")
    with pytest.raises(InputError, match="it is no file"):
        read(tmp_path / "record.json")


NASTY: list[Any] = [
    None, True, -1, 2**70, 1.5, float("nan"), 1e308, "", "x", "\ud800", "9" * 5000, [], [[]], [None], {}, {"a": 1},
    [-1], ["x"] * 6, [0] * 6, [[["a", 0, 6]]], "native", "cross", "float16", "V2147483647", 10**400,
]  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("made", EXAMPLES.values(), ids=EXAMPLES)
def test_whatever_a_field_holds_the_record_is_valid_or_refused(
    tmp_path: Path, suffix: str, made: Callable[[str], Record]
) -> None:
    whole = made("float32")
    path, again = tmp_path / f"record{suffix}", tmp_path / f"again{suffix}"
    write(whole, tmp_path / "facts.json", ".json")
    text = (tmp_path / "facts.json").read_bytes()
    tensors = {}
    if suffix == ".safetensors":
        write(whole, path, suffix)
        tensors = load_file(path)
    taken = 0
    for place in places(json.loads(text)):
        if suffix == ".json" and place[-1] not in ("dtype", "weights", "keys"):
            continue  # as in the other format
        for nasty in NASTY:
            facts = json.loads(text)
            *inner, last = place
            part = facts
            for name in inner:
                part = part[name]
            part[last] = nasty
            if suffix == ".json":
                path.write_text(json.dumps(facts))
            else:
                save_file(tensors, path, metadata={"attnviz": json.dumps(facts)})
            try:
                found = read(path)
            except InputError:
                continue
            taken += 1
            write(found, again, suffix)
            assert_same(read(again), found)
    assert taken or suffix == ".json" or isinstance(whole, EncoderDecoderRecord)  # some are true of a record


def places(facts: dict[str, Any]) -> list[tuple[str, ...]]:
    """The names of all fields, and of those in them; but of three maps only theirs, as each is like any other."""
    if "cross" in facts:
        return [(name,) for name in facts]
    inner = [(name, *rest) for name, value in facts.items() if isinstance(value, dict) for rest in places(value)]
    return [*((name,) for name in facts), *inner]


def test_rollout_is_advised_only_where_it_can_be_had() -> None:
    assert ask_for("norm", "norm+heads", "rollout", "flow") == (
        "Ask for norm or norm+heads, or rollout or flow if all layers attend"
    )
    assert ask_for("rollout") == "Ask for rollout if all layers attend"
    assert ask_for("norm") == "Ask for norm"
