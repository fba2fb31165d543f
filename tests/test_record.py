from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from attnviz.encoding import Encoding, Word
from attnviz.errors import InputError, UsageError
from attnviz.record import Array, Attention, read, write
from tests.records import random_weights, record

SUFFIXES = (".json", ".safetensors")


def example(dtype: str = "float32") -> Attention:
    """A record in which no field has its default: a pair, pieces, non-ASCII, a truncated text."""
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
    )
    return Attention("someone/model", "hosted", True, encoding, random_weights((2, 3, 6), dtype=dtype))


def assert_same(read_back: Attention, attention: Attention) -> None:
    assert read_back.encoding == attention.encoding
    assert (read_back.model, read_back.path, read_back.causal) == (attention.model, attention.path, attention.causal)
    assert read_back.weights.dtype == attention.weights.dtype
    np.testing.assert_array_equal(read_back.weights, attention.weights)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_record_comes_back_exactly(tmp_path: Path, suffix: str, dtype: str) -> None:
    path, attention = tmp_path / f"record{suffix}", example(dtype)
    write(attention, path, suffix)
    assert_same(read(path), attention)


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


def test_the_json_is_plain_json_of_stable_names(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write(example(), path, ".json")
    facts = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert facts["format"] == "attnviz.attention/2"
    assert facts["words"][2] == ["financials", 2, 4]
    assert np.shape(facts["weights"]) == (2, 3, 6, 6)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_name_with_escapes_and_spaces_works(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a \x1b[31m b\n你好{suffix}"
    write(example(), path, suffix)
    assert_same(read(path), example())


def test_nothing_is_written_under_a_suffix_that_can_not_be_read_back(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.png.*expected .*\.json"):
        write(example(), tmp_path / "record.png", ".png")
    assert list(tmp_path.iterdir()) == []


def test_a_record_knows_its_sizes() -> None:
    attention = example()
    assert (attention.layers, attention.heads) == (2, 3)
    assert attention.words == ("[CLS]", "The", "financials", "[SEP]", "😀")
    assert attention.tokens == attention.encoding.tokens
    assert repr(attention) == "<Attention of someone/model: 2 layers × 3 heads, 6 tokens, 5 words>"


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
    "a later format": (change(format="attnviz.attention/3"), "'attnviz.attention/3', expected 'attnviz.attention/2'"),
    "whole numbers": (change(dtype="int64"), "its weights are int64, expected floating point"),
    "no such dtype": (change(dtype="nonsense"), "nonsense"),
    "no layers": (change(weights=[]), r"shape \(0,\), expected \(layers, heads, 6, 6\)"),
    "two tokens": (change(weights=[[[[0.5, 0.5]] * 2]]), r"shape \(1, 1, 2, 2\), expected \(layers, heads, 6, 6\)"),
    "weights are text": (change(weights="none"), "not a record"),
    "a row too few": (lambda facts: facts["weights"][0][0].pop(), "not a record"),
    "a weight too few": (lambda facts: facts["weights"][0][0][0].pop(), "not a record"),
    "NaN": (first_weight(float("nan")), "NaN or infinity"),
    "infinity": (first_weight(float("inf")), "NaN or infinity"),
    "null": (first_weight(None), "NaN or infinity"),
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
    "dropped is infinite": (change(dropped=float("inf")), "not a record"),
    "a lone surrogate": (change(text="\ud800"), "not a record"),
    "a lone surrogate in the model's name": (change(model="\ud800"), "not a record"),
    "more digits than can be saved": (change(dtype="float128"), "float128"),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_record_is_refused_and_the_damage_said(
    tmp_path: Path, damage: Callable[[dict[str, Any]], None], said: str
) -> None:
    path = tmp_path / "record.json"
    write(example(), path, ".json")
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
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"record{suffix}"
    write(example(), path, suffix)
    whole = path.read_bytes().rstrip()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(InputError, match="is not a record of attnviz"):
        read(path)


def safetensors(path: Path, weights: Array, **metadata: str) -> Path:
    save_file({"weights": weights}, path, metadata=metadata or None)
    return path


def facts_of(attention: Attention, folder: Path) -> str:
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

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything
    with pytest.raises(InputError, match=r"can't be read \(Permission denied\)"):
        read(tmp_path / "record.json")
