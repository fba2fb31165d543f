"""What is measured of one document, against the same from all of its weights."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import MistralConfig, MistralForCausalLM, ModernBertConfig, ModernBertModel

from attnviz.analysis.corpus.alone import measure_alone
from attnviz.analysis.corpus.metrics import NAMES, Measured, WordLinks
from attnviz.attention import kernel
from attnviz.attention.kernel import Kind, Tile
from attnviz.attention.observers import HeadSums, Weights
from attnviz.attention.totals import Total
from attnviz.encoding import Encoding, Window, Windows, encode, slide_windows
from attnviz.errors import ModelError, UnsupportedModel
from attnviz.interface import Model, load
from attnviz.model.backends import open_by_transformers
from attnviz.model.native.backend import Native
from attnviz.record import Request
from tests import tiny
from tests.analysis import naive
from tests.documents import LONG_TEXT, Array, Read, read_windows

TEXTS = {
    "a sentence": tiny.SENTENCE,
    "a letter": "a",
    "a sign": "?!",
    "marks within": "The bank [SEP] approved the loan. [SEP]",
    "long": "The bank approved the loan, because the company had strong financials of it. " * 7,
}
UNLIKE = " ".join(f"{word} {chr(97 + i)} loan{i % 7 * 's'}" for i, word in enumerate(tiny._WORDS * 2))
"""Says nothing twice in the same words: of weights that are equal but for rounding nobody knows the order."""
EXACT, SINGLE = 1e-10, 3e-5


def assert_alike(found: Measured, expected: Measured, close: float = EXACT) -> None:
    assert found.figures.shape == expected.figures.shape
    for i, name in enumerate(NAMES):
        ours, theirs = found.figures[..., i], expected.figures[..., i]
        np.testing.assert_allclose(ours, theirs, rtol=close, atol=close, err_msg=name)
    links, others = found.links, expected.links
    np.testing.assert_allclose(links.weight, others.weight, rtol=max(close, 1e-6))
    # Of weights that are equal but for rounding nobody knows the order.
    near = np.isclose(np.diff(others.weight), 0, atol=0 if close == EXACT else 1e-7)
    alike = (np.append(near, False) | np.append(False, near))[: len(others.weight)]
    for name, theirs in vars(others).items():
        ours = getattr(links, name)
        assert ours.dtype == theirs.dtype
        if name != "weight":
            np.testing.assert_array_equal(ours[~alike], theirs[~alike], err_msg=name)


def by_layers(weights: Array, encoding: Encoding, asked: Request, seen: list[np.ndarray], *, causal: bool) -> Measured:
    """As ``naive.measured`` of weights (L, H, N, N), where each layer sees what is its own."""
    layers = [
        naive.measured(layer[None], encoding, asked, causal=causal, seen=visible)
        for layer, visible in zip(weights, seen, strict=True)
    ]
    numbers = [np.full(len(layer.links), number, np.int16) for number, layer in enumerate(layers)]
    links = [{**vars(layer.links), "layer": number} for layer, number in zip(layers, numbers, strict=True)]
    joined = {name: np.concatenate([part[name] for part in links]) for name in links[0]}
    return Measured(np.concatenate([layer.figures for layer in layers]), WordLinks(**joined))


def seen_in(n: int, *, behind: int | None = None, ahead: int | None = None) -> np.ndarray:
    apart = np.arange(n)[:, None] - np.arange(n)
    return (apart <= (n if behind is None else behind)) & (-apart <= (n if ahead is None else ahead))


def weights_of(model: Model, encoding: Encoding, target: Encoding | None = None, kind: Kind = "self") -> Array:
    kept = Weights()
    model.backend.run(encoding, [kept], target)
    return kept.stacked(kind).numpy()


@pytest.fixture(scope="module")
def opened() -> Callable[[Path, str], Model]:
    models: dict[tuple[Path, str], Model] = {}

    def find(folder: Path, dtype: str) -> Model:
        if (folder, dtype) not in models:
            models[folder, dtype] = load(folder, dtype=dtype)
        return models[folder, dtype]

    return find


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("family", ["bert", "llama", "hosted"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_text_read_whole(
    family: str, text: str, dtype: str, request: pytest.FixtureRequest, opened: Callable[[Path, str], Model]
) -> None:
    model = opened(request.getfixturevalue(f"tiny_{family}"), dtype)
    encoding = model.encode(TEXTS[text], truncate=True)
    causal = family != "bert"
    seen = seen_in(len(encoding), ahead=0 if causal else None)
    expected = naive.measured(weights_of(model, encoding), encoding, Request(), causal=causal, seen=seen)
    assert_alike(measure_alone(model.backend, encoding, Request()), expected, EXACT if dtype == "float64" else SINGLE)


@pytest.mark.parametrize(
    "asked", [Request(links=2), Request(special=True), Request(links=30, everything=True), Request(links=0)]
)
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_what_is_asked_for(
    family: str, asked: Request, request: pytest.FixtureRequest, opened: Callable[[Path, str], Model]
) -> None:
    model = opened(request.getfixturevalue(f"tiny_{family}"), "float64")
    encoding = model.encode(TEXTS["long"], truncate=True)
    causal = family == "llama"
    seen = seen_in(len(encoding), ahead=0 if causal else None)
    expected = naive.measured(weights_of(model, encoding), encoding, asked, causal=causal, seen=seen)
    assert_alike(measure_alone(model.backend, encoding, asked), expected)


def test_a_document_of_many_tiles(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(tiny_llama, dtype="float64")
    encoding = model.encode(TEXTS["long"])
    seen = seen_in(len(encoding), ahead=0)
    expected = naive.measured(weights_of(model, encoding), encoding, Request(), causal=True, seen=seen)
    monkeypatch.setattr(kernel, "TILE", 11 * len(encoding))
    assert_alike(measure_alone(model.backend, encoding, Request()), expected)


_SHAPE = {
    "vocab_size": len(tiny.VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 200,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "cls_token_id": 2,
    "eos_token_id": 3,
    "sep_token_id": 3,
}


def near_encoder(folder: Path) -> tuple[Path, list[dict[str, int | None]]]:
    config = ModernBertConfig(**_SHAPE, local_attention=8, global_attn_every_n_layers=3)
    near = {"behind": 4, "ahead": 4}
    return tiny.save(folder, ModernBertModel(config), scale=0.25), [{}, near, near]


def near_decoder(folder: Path) -> tuple[Path, list[dict[str, int | None]]]:
    config = MistralConfig(**_SHAPE, num_key_value_heads=2, sliding_window=9)
    return tiny.save(folder, MistralForCausalLM(config)), [{"behind": 8, "ahead": 0}] * 3


def near_hosted(folder: Path) -> tuple[Path, list[dict[str, int | None]]]:
    return tiny.hosted(folder, sliding_window=9), [{"behind": 8, "ahead": 0}] * 3


@pytest.mark.parametrize("make", [near_encoder, near_decoder, near_hosted])
def test_layers_that_see_a_part_of_the_text(
    make: Callable[[Path], tuple[Path, list[dict[str, int | None]]]], tmp_path: Path
) -> None:
    folder, layer_windows = make(tmp_path)
    model = load(folder, dtype="float64")
    assert model.backend.name == ("hosted" if make is near_hosted else "native")
    for text in (UNLIKE, "A bank."):
        encoding = model.encode(text)
        weights, seen = weights_of(model, encoding), [seen_in(len(encoding), **window) for window in layer_windows]
        assert not weights[:, :, ~seen[1]][1:].any()
        expected = by_layers(weights, encoding, Request(), seen, causal=make is not near_encoder)
        assert_alike(measure_alone(model.backend, encoding, Request()), expected)


@pytest.mark.parametrize("hosted", [False, True])
def test_of_an_encoder_decoder_the_encoder_is_measured(tiny_t5: Path, hosted: bool) -> None:
    model = load(tiny_t5, dtype="float64")
    backend = open_by_transformers(model.checkpoint, model.options) if hosted else model.backend
    encoding = model.encode(tiny.SENTENCE)
    weights = weights_of(model, encoding, encoding, "encoder")
    seen = seen_in(len(encoding))
    assert weights.shape[:2] == (3, 4)
    expected = naive.measured(weights, encoding, Request(), causal=False, seen=seen)
    assert_alike(measure_alone(backend, encoding, Request()), expected)


@pytest.fixture(scope="module", params=["bert", "bert in other strides", "llama", "llama without marks"])
def read(
    request: pytest.FixtureRequest, tiny_bert: Path, tiny_llama: Path, opened: Callable[[Path, str], Model]
) -> Read:
    """A document of 160 tokens with words longer than a window, in windows of 24."""
    causal = request.param.startswith("llama")
    model = opened(tiny_llama if causal else tiny_bert, "float64")
    tokenizer = model.checkpoint.tokenizer
    marked = "without" not in request.param
    document = encode(tokenizer, LONG_TEXT, marks=marked)
    stride = 7 if "stride" in request.param else None
    windows = slide_windows(tokenizer, document, limit=24, causal=causal, stride=stride, marks=marked)
    assert len(windows) > 8
    backend = model.backend
    assert isinstance(backend, Native)
    return read_windows(backend, document, windows, sinks=marked or not causal)


@pytest.mark.parametrize("asked", [Request(), Request(links=3, special=True), Request(links=200, everything=True)])
def test_a_document_in_windows(read: Read, asked: Request) -> None:
    causal = read.backend.causal()
    read = replace(read, sinks=read.sinks or asked.special or asked.everything)
    found = naive.figures_in_windows(read, causal=causal)
    expected = np.stack([found[name] for name in NAMES], axis=-1)
    links = naive._links(read.whole, read.document, asked, expected, causal=causal)
    measured = measure_alone(read.backend, read.document, asked, read.windows, causal=causal)
    assert_alike(measured, Measured(expected, links))
    assert len(links) >= read.whole.shape[0] * 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["query", "value", "output.dense"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_damaged_model_gives_no_figures(dtype: str, part: str, value: float, tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path)
    state = load_file(folder / "model.safetensors")
    damaged = next(name for name in state if f"layer.1.attention.{'' if '.' in part else 'self.'}{part}.weight" in name)
    state[damaged][3, 5] = value
    save_file(state, folder / "model.safetensors")
    model = load(folder, dtype=dtype)
    with pytest.raises(ModelError, match="NaN"):
        measure_alone(model.backend, model.encode(tiny.SENTENCE), Request())
    windows = slide_windows(model.checkpoint.tokenizer, model.encode(tiny.SENTENCE), limit=12, causal=False)
    with pytest.raises(ModelError, match="NaN"):
        measure_alone(model.backend, model.encode(tiny.SENTENCE), Request(), windows)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_damaged_encoder_gives_no_figures(dtype: str, tiny_t5: Path, tmp_path: Path) -> None:
    folder = tmp_path / "t5"
    shutil.copytree(tiny_t5, folder)
    state = load_file(folder / "model.safetensors")
    state["encoder.block.1.layer.0.SelfAttention.q.weight"][3, 5] = float("nan")
    save_file(state, folder / "model.safetensors")
    model = load(folder, dtype=dtype)
    with pytest.raises(ModelError, match="NaN"):
        measure_alone(model.backend, model.encode(tiny.SENTENCE), Request())


def test_layers_with_different_numbers_of_heads_are_refused() -> None:
    total, sums = Total(4), HeadSums()
    encoding = Encoding("", None, (5, 6), (0, 0), ("a", "b"), (False, False), ())
    window = Window(encoding, 0, 0, 2, 0, 2, np.arange(2))
    for layer, heads in enumerate((2, 3)):
        sums.tile(Tile(layer, 0, 0, torch.full((heads, 2, 2), 0.5), (heads, 2, 2)))
    with pytest.raises(UnsupportedModel, match="its layers have 2, 3 heads"):
        total.add(window, sums.sums)


class Counted:
    """Tells which windows were made, and how many there were at once: nothing that has them was kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[int] = []
        self.most = 0
        there: weakref.WeakSet[Window] = weakref.WeakSet()
        make = Windows.__getitem__

        def counted(windows: Windows, number: int) -> Window:
            window = make(windows, number)
            self.made.append(number)
            there.add(window)
            self.most = max(self.most, len(there))
            return window

        monkeypatch.setattr(Windows, "__getitem__", counted)


@pytest.mark.parametrize("threads", [1, 3])
def test_windows_are_made_when_it_is_their_turn_and_gone_after_it(
    threads: int, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(tiny_bert)
    tokenizer = model.checkpoint.tokenizer
    document = encode(tokenizer, tiny.SENTENCE + " the bank of the river" * 200)
    counted = Counted(monkeypatch)
    windows = slide_windows(tokenizer, document, limit=24, causal=False)
    assert counted.made == []
    known: list[tuple[int, int]] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    measure_alone(
        model.backend,
        document,
        Request(),
        windows,
        causal=False,
        on_progress=lambda count: known.append((len(counted.made), count)),
    )
    assert counted.made[: len(windows)] == list(range(len(windows)))
    assert len(windows) > 60
    assert counted.most <= threads + 4
    assert all(made <= i + threads + 2 for i, (made, _) in enumerate(known))
    assert sum(count for _, count in known) == len(document)


@pytest.mark.parametrize("asked", [Request(), Request(links=3, special=True)])
def test_windows_on_many_threads_measure_the_same_to_the_last_bit(
    asked: Request, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(tiny_llama)
    tokenizer = model.checkpoint.tokenizer
    document = encode(tokenizer, "The bank approved the loan, because it had strong financials. " * 40)
    windows = slide_windows(tokenizer, document, limit=40, causal=True)
    assert windows.whole_words
    assert len(windows) > 20
    found = []
    for threads in (1, 2, 4):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(measure_alone(model.backend, document, asked, windows))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0].figures, other.figures)
        for name, values in vars(found[0].links).items():
            np.testing.assert_array_equal(values, getattr(other.links, name), err_msg=name)
