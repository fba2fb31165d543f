"""Word alignments, held to plain loops and to maps that are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attnviz.analysis.text.replaying import replay
from attnviz.analysis.text.word_alignment import REQUEST, AlignedUnit, Step, align, cross_weights, usual_layer
from attnviz.errors import UsageError
from attnviz.interface import Attention, EncoderDecoder
from attnviz.record import Array, AttentionRecord, EncoderDecoderRecord, Heads
from tests.records import Spelled, random_weights, record, three_maps

SOURCE: list[Spelled] = ["The", ("houses", ["house", "##s"]), "are", "red", ".", "[EOS]"]
TARGET: list[Spelled] = ["[START]", "Rouges", "sont", "les", ("maisons", ["mais", "##ons"]), "."]
TRUE = {0: 3, 1: 2, 2: 0, 3: 1, 4: 4}
"""The source word of each target word."""


def maps(weights: Array | None = None, source: Any = SOURCE, target: Any = TARGET) -> EncoderDecoder:
    found = three_maps(source, target, (3, 2))
    if weights is not None:
        found = replace(found, cross=replace(found.cross, weights=weights))
    return EncoderDecoder(**{name: Attention(**vars(each)) for name, each in vars(found).items()})


def pointed(found: EncoderDecoderRecord, step: Step) -> Array:
    """Weights (3, 2, N, M) in which each target word looks at its source word alone, in the row of the ``step``."""
    words, keys = found.cross.encoding.words, found.cross.keys.words if found.cross.keys else ()
    weights = np.zeros((3, 2, *found.cross.shape[2:]))
    weights[..., -1] = 1e-3
    for target, source in TRUE.items():
        word, key = words[target + 1], keys[source]
        for row in range(word.start, word.stop):
            weights[:, :, row - (step == "predicts"), key.start : key.stop] = 1
    return np.asarray(weights / weights.sum(-1, keepdims=True), np.float32)


@pytest.mark.parametrize("step", ["reads", "predicts"])
def test_a_map_that_points_at_the_right_words_gives_the_right_links(step: Step) -> None:
    found = maps()
    found = maps(pointed(found, step))
    cross = cross_weights(replay(found, REQUEST), step=step)
    alignment = align(cross, step=step)
    assert (alignment.source, alignment.target) == (
        ("The", "houses", "are", "red", "."), ("Rouges", "sont", "les", "maisons", "."),
    )  # fmt: skip
    assert alignment.links == ((0, 2), (1, 3), (2, 1), (3, 0), (4, 4))
    assert alignment.pharaoh == "0-2 1-3 2-1 3-0 4-4"
    other: Step = "predicts" if step == "reads" else "reads"
    assert align(cross_weights(replay(found, REQUEST), step=other), step=other).links != alignment.links


@pytest.mark.parametrize("step", ["reads", "predicts"])
@pytest.mark.parametrize("unit", ["word", "token"])
def test_the_weights_are_those_of_plain_loops(step: Step, unit: AlignedUnit) -> None:
    found = maps()
    cross = cross_weights(replay(found, REQUEST), step=step, unit=unit)
    a, encoding, keys = np.asarray(found.cross.weights, float), found.cross.encoding, found.cross.keys
    assert keys is not None

    def spans(each: Any) -> list[range]:
        if unit == "token":
            return [range(i, i + 1) for i in range(len(each)) if not each.special[i]]
        return [range(word.start, word.stop) for word in each.words if not each.special[word.start]]

    back = int(step == "predicts")
    for (layer, head), row in np.ndenumerate(np.zeros((3, 2))):
        assert row == 0
        for n, target in enumerate(spans(encoding)):
            for m, source in enumerate(spans(keys)):
                expected = np.mean([sum(a[layer, head, i - back, j] for j in source) for i in target])
                assert cross.weights[layer, head, n, m] == pytest.approx(expected, abs=1e-6)
            rest = np.mean([a[layer, head, i - back, -1] for i in target])
            assert cross.special[layer, head, n] == pytest.approx(rest, abs=1e-6)
    assert np.allclose(cross.weights.sum(-1) + cross.special, 1)


def test_what_white_space_separates_is_counted_as_the_text_counts_it() -> None:
    source: list[Spelled] = ["It", "'", "s", "a", "dog", "[EOS]"]
    weights = np.zeros((3, 2, 4, 6), np.float32)
    weights[:, :, 1, 3] = weights[:, :, 2, 4] = 1
    weights[:, :, 3, [0, 1, 2, 5]] = 0.25
    found = maps(weights, source, ["[START]", "Un", "chien", "!"])
    text = replace(found.encoder.encoding, text="It's a dog")
    target = replace(found.cross.encoding, text="Un chien!")
    cross = replace(found.cross, keys=text, encoding=target)
    alignment = align(cross_weights(replay(cross, REQUEST), unit="space"))
    assert (alignment.source, alignment.target) == (("It's", "a", "dog"), ("Un", "chien!"))
    assert alignment.pharaoh == "1-0 2-1"
    assert alignment.weights[1] == pytest.approx([0.375, 0, 0.5])  # the mean over "chien" and "!"


def test_heads_are_those_that_were_asked_for_and_else_the_mean_of_the_usual_layer() -> None:
    found = maps(np.asarray(random_weights((3, 2, 7, 7), dtype="float32")))
    cross = cross_weights(replay(found, REQUEST))
    assert align(cross).weights == pytest.approx(cross.weights[1].mean(0))
    assert align(cross).heads == "all heads of L1"
    assert align(cross, step="predicts").weights == pytest.approx(cross.weights[1].mean(0))
    assert align(cross, Heads((2,), (1,))).weights == pytest.approx(cross.weights[2, 1])
    assert align(cross, Heads((2,), (1,))).heads == "L2 H1"
    assert align(cross, Heads((0, 2), (1,))).weights == pytest.approx(cross.weights[[0, 2], 1].mean(0))
    for wanted, message in ((Heads((7,)), "no layer 7"), (Heads((0,), (5,)), "no head 5")):
        with pytest.raises(UsageError, match=message):
            align(cross, wanted)


def test_the_usual_layer_is_the_third_of_six_or_the_last_but_one() -> None:
    layers = [usual_layer(range(count), "reads") for count in (1, 2, 3, 6, 12)]
    assert layers == [0, 0, 1, 2, 5]
    assert [usual_layer(range(count), "predicts") for count in (1, 2, 6)] == [0, 0, 4]
    assert usual_layer((1, 3, 5), "reads") == 3


def test_a_record_gives_the_same_table() -> None:
    found = maps()
    found = maps(pointed(found, "reads"))
    table = found.align(layer=2, head=1)
    assert table["target"].tolist() == ["Rouges", "sont", "les", "maisons", "."]
    assert table["source"].tolist() == ["red", "are", "The", "houses", "."]
    assert (table["weight"] > 0.99).all()
    assert table["source_index"].tolist() == list(TRUE.values())
    with pytest.raises(UsageError, match="expected one of reads, predicts"):
        found.align(step="written")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected one of word, space, token"):
        found.align(unit="sentence")  # type: ignore[arg-type]


def test_a_word_that_occurs_twice_is_told_apart_and_one_source_word_has_no_second() -> None:
    found = maps(np.full((3, 2, 3, 2), 0.5, np.float32), ["dog", "[EOS]"], ["[START]", "chien", "chien"])
    rows = list(found.align().rows())
    assert [row["target"] for row in rows] == ["chien:1", "chien:2"]
    assert [(row["next"], row["next_weight"]) for row in rows] == [("", None)] * 2


def test_a_model_of_one_text_has_nothing_to_align() -> None:
    alone: AttentionRecord = record(["[CLS]", "dog"], random_weights((1, 2, 2)))
    with pytest.raises(UsageError, match="no decoder that looks at an encoder") as told:
        cross_weights(replay(alone, REQUEST))
    assert "Marian" in told.value.hint
    assert "find" in told.value.hint
