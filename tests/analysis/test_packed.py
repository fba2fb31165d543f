"""Documents measured together against the definitions, of each document run alone."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attnviz.analysis.corpus import packed
from attnviz.analysis.corpus.metrics import NAMES, Measured
from attnviz.analysis.corpus.packed import Found, marks, measure
from attnviz.attention import packs as pack_figures
from attnviz.attention.block_sizes import LANES
from attnviz.attention.figures import figures
from attnviz.attention.observers import Weights
from attnviz.attention.window import CAUSAL, EVERYTHING, KeyWindow
from attnviz.encoding import Encoding
from attnviz.errors import AttnvizError, InputError, ModelError
from attnviz.interface import Model, load
from attnviz.model.native import packed as packs
from attnviz.model.native.backend import Native
from attnviz.model.native.forward import Network
from attnviz.record import Request
from tests import tiny
from tests.analysis import naive
from tests.model.parity import make, saved
from tests.model.variants import VOCABULARY, all_variants
from tests.records import encoding_of

CASES = all_variants()
# One of each family, and those in which something else reaches from token to token.
CHOSEN = {family: (family, name) for family, name in reversed(CASES)}.values()
MORE = [
    ("bart", "padding within the text"),
    ("deberta-v2", "convolution of five, in groups"),
    ("deberta-v2", "distances in few buckets, clipped"),
    ("deberta-v2", "v3 (shared, normed, in buckets, no absolute positions)"),
    ("falcon", "ALiBi in bfloat16, grouped queries"),
    ("llama", "dynamic rotary, beyond its length"),
    ("llama", "ministral: windows in some layers"),
    ("modernbert", "another order of the layers, an odd window"),
    ("phi3", "longrope rotary, long, a part turns"),
    ("roberta", "decoder, padding inside the text"),
    ("t5", "an encoder alone"),
]
WORDS = ["bank", "the", "of", ".", ",", "river", "loan", "and", "!", "approved"]
FLAT = [name for name in NAMES if not name.endswith(("_position", "offset"))]


def document(seed: int, length: int, *, few: int = VOCABULARY) -> Encoding:
    """A random text of ``length`` tokens, of words of one to three, some within special tokens."""
    rng = random.Random(seed)
    words: list[tuple[str, list[str]]] = []
    left = length - 2
    while left > 0:
        size = min(left, rng.choice([1, 1, 1, 2, 3]))
        word = rng.choice(WORDS)
        words.append((word, [word] * size))
        left -= size
    ends = (("[CLS]", ["[CLS]"]), ("[SEP]", ["[SEP]"]))
    words = [ends[0], *words, ends[1]] if seed % 3 else [*words, ("bank", ["bank"] * min(2, length))]
    ids = tuple(rng.randrange(few) for _ in range(length))
    return encoding_of(words, ids=ids)


def alone(network: Network, encoding: Encoding, asked: Request) -> Measured:
    """By the definitions, layer by layer, from the weights of the document run alone."""
    kept, n = Weights(), len(encoding)
    network(encoding.ids, encoding.type_ids, [kept])
    apart = np.arange(n)[:, None] - np.arange(n)
    layers = []
    for layer, spec in network.spec.attentions.items():
        behind, ahead = (n if side is None else side for side in (spec.window.left, spec.window.right))
        weights = kept.layer(layer, network.kind)[None].numpy()
        seen = (apart <= behind) & (-apart <= ahead)
        layers.append(naive.measured(weights, encoding, asked, causal=network.spec.causal, seen=seen))
    figures = np.concatenate([each.figures for each in layers])
    links = [
        np.concatenate([getattr(each.links, name) for each in layers]) for name in ("head", "query", "key", "weight")
    ]
    numbers = np.repeat(np.arange(len(layers)), [len(each.links) for each in layers])
    return Measured(figures, type(layers[0].links)(numbers.astype(np.int16), *links))


def assert_same(found: Found, expected: Measured, *, rtol: float) -> None:
    assert isinstance(found, Measured), found
    distance = expected.figures[..., NAMES.index("distance")].max()
    for name in NAMES:
        column = NAMES.index(name)
        # Distances to both sides cancel in the signed one, but not their roundings.
        atol = rtol * distance if name == "signed_distance" else rtol / 10
        np.testing.assert_allclose(
            found.figures[..., column], expected.figures[..., column], rtol=rtol, atol=atol, err_msg=name
        )
    for name in ("layer", "head", "query", "key"):
        mine, other = getattr(found.links, name), getattr(expected.links, name)
        assert mine.dtype == other.dtype
        np.testing.assert_array_equal(mine, other, err_msg=name)
    np.testing.assert_allclose(found.links.weight, expected.links.weight, rtol=max(rtol, 1e-6))


LENGTHS = (2, 3, 7, 7, 12, 12, 12, 19, 23)
TEXTS = [document(seed, length) for seed, length in enumerate(LENGTHS)]
SHUFFLED = random.Random(0).sample(TEXTS, len(TEXTS))


@pytest.mark.parametrize("case", [*CHOSEN, *MORE], ids=": ".join)
def test_every_family_measures_together_what_it_does_alone(case: tuple[str, str], tmp_path: Path) -> None:
    both = saved(make(CASES[case], torch.float64), tmp_path, torch.float64)
    found = measure(Native(both), SHUFFLED, Request(links=3))
    for encoding, one in zip(SHUFFLED, found, strict=True):
        assert_same(one, alone(both.encoder or both, encoding, Request(links=3)), rtol=1e-9)


@pytest.mark.parametrize("compiled", [True, False], ids=["numba", "torch"])
def test_texts_of_several_chunks_are_measured_in_single_precision(compiled: bool, tmp_path: Path) -> None:
    """The scores of what is hidden are finite, also together."""
    case = "llama4_text", "chunks in most layers, no temperature"
    both = saved(make(CASES[case], torch.float32), tmp_path, torch.float32)
    found = measure(Native(both), SHUFFLED, Request(links=3), many=compiled)
    for encoding, one in zip(SHUFFLED, found, strict=True):
        assert_same(one, alone(both, encoding, Request(links=3)), rtol=2e-4)


@pytest.fixture(scope="module")
def long_bert(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A BERT that reads 512 tokens, in which some heads look at one offset."""
    return load(tiny.telling_bert(tmp_path_factory.mktemp("bert"), max_position_embeddings=512))


LONG = [*TEXTS, document(10, 150), document(11, 150), document(13, 260, few=20)]
ASKED = [
    *(Request(), Request(links=0), Request(links=3, special=True)),
    pytest.param(Request(links=30, everything=True), marks=pytest.mark.slow),
]


@cache
def all_alone(network: Network, asked: Request) -> list[Measured]:
    return [alone(network, encoding, asked) for encoding in LONG]


@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize("compiled", [True, False], ids=["numba", "torch"])
def test_what_counts_is_what_the_definitions_say(asked: Request, compiled: bool, long_bert: Model) -> None:
    texts = LONG[4:] if asked.everything else LONG  # in the shortest all weights are 1, and equal
    found = measure(long_bert.backend, texts, asked, many=compiled)
    for one, expected in zip(found, all_alone(network_of(long_bert), asked)[-len(texts) :], strict=True):
        assert_same(one, expected, rtol=2e-5)


@pytest.mark.parametrize("window", [EVERYTHING, CAUSAL, KeyWindow(left=3, right=0), KeyWindow(left=2, right=20)])
@pytest.mark.parametrize("length", [2, 5, 16, 17, 40])
def test_the_compiled_pass_is_that_of_torch(window: KeyWindow, length: int) -> None:
    pytest.importorskip("attnviz.attention.compiled.packs")
    count, heads = 3, 4
    asked = marks([document(seed, length) for seed in range(count)], Request(links=5), causal=window.right == 0)
    room = torch.full((count, heads, length, -(-length // LANES) * LANES), torch.nan)
    room[..., :length] = torch.randn(count, heads, length, length, generator=torch.Generator().manual_seed(length)) * 3
    found = []
    for scores in (room.clone(), room.clone().double()):  # only float32 is compiled
        seen = pack_figures.Measure(asked, 5)
        seen(0, window, packs.Group(0, 0, count, length), scores[..., :length])
        found.append((scores[..., :length].double(), seen.layers[0]))
    (weights, compiled), (expected, torchs) = found
    torch.testing.assert_close(weights, expected, rtol=1e-5, atol=1e-7)
    mine, theirs = (figures(layer.sums, asked.texts) for layer in (compiled, torchs))
    for name in NAMES:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-5, atol=4e-6, err_msg=name)
    np.testing.assert_allclose(compiled.weights, torchs.weights, rtol=1e-5, atol=1e-7)
    there = torchs.weights > 0
    for name in ("heads", "queries", "keys"):
        np.testing.assert_array_equal(getattr(compiled, name)[there], getattr(torchs, name)[there], err_msg=name)


def network_of(model: Model) -> Network:
    assert isinstance(model.backend, Native)
    return model.backend.network


def test_short_texts_are_cut_into_packs_of_as_many_tokens_for_each_worker() -> None:
    assert packs.pack([]) == []
    assert packs.pack([9000]) == [[0]]
    lengths = random.Random(0).choices(range(2, 60), k=1000)
    for workers in (1, 2, 3):
        found = packs.pack(lengths, workers)
        assert sorted(number for numbers in found for number in numbers) == list(range(1000))
        flat = [lengths[number] for numbers in found for number in numbers]
        assert flat == sorted(lengths)
        sizes = [sum(lengths[number] for number in numbers) for numbers in found]
        assert len(found) % workers == 0
        assert max(sizes) - min(sizes) < 2 * 60
        assert max(sizes) < packs.PACK + 60


def test_packs_and_parts_change_nothing(long_bert: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measure(long_bert.backend, TEXTS, Request())
    monkeypatch.setattr(packs, "PACK", 20)
    monkeypatch.setattr(packs, "PACK_CELLS", 1000)
    threads = torch.get_num_threads()
    for workers in (1, 3):
        torch.set_num_threads(workers)
        try:
            parts = measure(long_bert.backend, TEXTS, Request())
        finally:
            torch.set_num_threads(threads)
        for one, other in zip(parts, whole, strict=True):
            assert isinstance(other, Measured)
            assert_same(one, other, rtol=1e-5)


@pytest.mark.parametrize("compiled", [True, False], ids=["numba", "torch"])
def test_what_can_not_be_measured_leaves_the_others_as_they_are(compiled: bool, tiny_bert: Path) -> None:
    model = load(tiny_bert)
    network_of(model).tensors["embed.tokens.weight"][17] = torch.nan
    fine = [encoding_of(["[CLS]", "bank", "river", "[SEP]"], ids=(2, 30, i, 3)) for i in range(20, 26)]
    broken = encoding_of(["[CLS]", "bank", "[SEP]"], ids=(2, 17, 3))
    strange = encoding_of(["[CLS]", "bank", "[SEP]"], ids=(2, 4000, 3))
    endless = encoding_of(["bank"] * 65, ids=(7,) * 65)
    found = measure(model.backend, [*fine[:3], broken, strange, endless, *fine[3:]], Request(), many=compiled)
    for one, encoding in zip([*found[:3], *found[6:]], fine, strict=True):
        assert_same(one, alone(network_of(model), encoding, Request()), rtol=2e-5)
    assert isinstance(found[3], ModelError)
    assert "give NaN: embed.tokens.weight" in found[3].message
    assert isinstance(found[4], ModelError)
    assert "do not belong together" in found[4].message
    assert isinstance(found[5], InputError)
    assert "65 tokens, the model takes 64" in found[5].message
    assert measure(model.backend, [], Request()) == []


@pytest.mark.parametrize("what", ["query", "key"])
def test_damage_to_the_last_layer_is_seen(what: str, tiny_bert: Path) -> None:
    model = load(tiny_bert)
    network_of(model).tensors[f"layers.2.attention.{what}.weight"][3] = torch.inf
    found = measure(model.backend, TEXTS[:2], Request())
    assert all(isinstance(one, ModelError) and f"layers.2.attention.{what}" in one.message for one in found)


def test_a_document_that_can_not_run_fails_alone(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = packed._pack

    def picky(network: Network, encodings: list[Encoding], **asked: Any) -> object:
        if any(len(encoding) == 19 for encoding in encodings):
            raise RuntimeError("not enough memory")
        return own(network, encodings, **asked)

    monkeypatch.setattr(packed, "_pack", picky)
    found = measure(load(tiny_bert).backend, TEXTS, Request())
    for one, encoding in zip(found, TEXTS, strict=True):
        assert isinstance(one, ModelError if len(encoding) == 19 else Measured)


def test_hosted_models_measure_each_by_all_of_its_weights(tiny_hosted: Path) -> None:
    model = load(tiny_hosted)
    encodings = [model.encode(text) for text in (tiny.SENTENCE, "The bank of the river.", "It had the loan!")]
    found = measure(model.backend, encodings, Request())
    for one, encoding in zip(found, encodings, strict=True):
        kept, n = Weights(), len(encoding)
        model.backend.run(encoding, [kept])
        expected = naive.measured(
            kept.stacked().numpy(), encoding, Request(), causal=True, seen=np.tril(np.ones((n, n), bool))
        )
        assert_same(one, expected, rtol=1e-6)
    strange = encoding_of(["bank"], ids=(4000,))
    assert isinstance(measure(model.backend, [strange, encodings[0]], Request())[0], AttnvizError)


def test_half_precision_measures_in_float32(tiny_bert: Path) -> None:
    exact, half = (measure(load(tiny_bert, dtype=dtype).backend, TEXTS, Request()) for dtype in ("float32", "bfloat16"))
    entropy = NAMES.index("entropy")
    for one, other in zip(half, exact, strict=True):
        assert isinstance(one, Measured)
        assert isinstance(other, Measured)
        np.testing.assert_allclose(one.figures[..., entropy], other.figures[..., entropy], atol=0.05)


def test_sinks_take_their_share_in_the_compiled_pass_as_in_torch() -> None:
    pytest.importorskip("attnviz.attention.compiled.packs")
    asked, sinks = marks([document(0, 17)], Request(links=5), causal=True), torch.tensor([-9.0, 0.0, 1.0, 3.0])
    room = torch.full((1, 4, 17, 2 * LANES), torch.nan)
    room[..., :17] = torch.randn(1, 4, 17, 17, generator=torch.Generator().manual_seed(0))
    found = []
    for scores in (room.clone(), room.clone().double()):  # only float32 is compiled
        pack_figures.Measure(asked, 5)(0, CAUSAL, packs.Group(0, 0, 1, 17), scores[..., :17], sinks)
        found.append(scores[..., :17].double())
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-7)
    first = room[0, :, 0, 0].double()
    torch.testing.assert_close(found[1][0, :, 0, 0], torch.sigmoid(first - sinks))
