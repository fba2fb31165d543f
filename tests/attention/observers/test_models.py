"""Observers of whole models: what they keep is what the weights of the same run say, in every layer and head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from attnviz.attention import kernel
from attnviz.attention.kernel import Kind, Observer, Tile
from attnviz.attention.observers import HeadSums, LinkSelection, Only, Units, Weights
from attnviz.attention.window import CAUSAL, EVERYTHING, KeyWindow
from attnviz.encoding import Encoding
from attnviz.model.hosted import Hosted
from attnviz.model.native.backend import Native
from tests import tiny
from tests.attention.observers.naive import means, profile_of, visible
from tests.model.parity import saved

LENGTH, WRITTEN = 150, 71
IDS, TARGET = ([*np.random.default_rng(seed).integers(5, 50, size)] for seed, size in ((0, LENGTH), (1, WRITTEN)))
WINDOW = 70
COMMON = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 256,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}
GPT2 = {name: size for name, size in COMMON.items() if name != "intermediate_size"}
GROUPED = COMMON | {"num_key_value_heads": 2, "head_dim": 8}
T5 = {"vocab_size": 50, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
SEEN = KeyWindow(left=WINDOW - 1, right=0)


@dataclass(frozen=True)
class Of:
    """A model of transformers, the way it is run, and how far the queries of its layers see, by kind of map."""

    name: str
    config: dict[str, Any]
    layer_windows: dict[Kind, list[KeyWindow]]
    hosted: bool = False
    scale: float = 0.3

    def backend(self, folder: Path) -> Native | Hosted:
        kind = getattr(transformers, self.name)
        model = kind._from_config(kind.config_class(**self.config), attn_implementation="eager").eval()
        tiny.randomise(model, scale=self.scale)
        return Hosted(model, "tiny") if self.hosted else Native(saved(model, folder, torch.float32), 0)


THREE: dict[Kind, list[KeyWindow]] = {"encoder": [EVERYTHING] * 2, "decoder": [CAUSAL] * 2, "cross": [EVERYTHING] * 2}
MODELS = {
    "llama": Of("LlamaModel", GROUPED, {"self": [CAUSAL] * 2}),
    "mistral, windows": Of("MistralModel", GROUPED | {"sliding_window": WINDOW}, {"self": [SEEN] * 2}),
    "bert": Of("BertModel", COMMON, {"self": [EVERYTHING] * 2}, scale=0.18),
    "gpt-2": Of(
        "GPT2Model",
        {name: size for name, size in COMMON.items() if name != "intermediate_size"},
        {"self": [CAUSAL] * 2},
    ),
    "t5": Of("T5Model", T5, THREE, scale=0.25),
    "mixtral, hosted": Of("MixtralModel", GROUPED | {"num_local_experts": 4}, {"self": [CAUSAL] * 2}, hosted=True),
    "gemma 3, hosted, one layer with windows": Of(
        "Gemma3TextModel",
        GROUPED | {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]},
        {"self": [SEEN, CAUSAL]},
        hosted=True,
    ),
    "gpt-oss, hosted, with sinks": Of(
        "GptOssModel",
        GROUPED | {"num_local_experts": 4, "layer_types": ["full_attention"] * 2},
        {"self": [CAUSAL] * 2},
        hosted=True,
    ),
    "t5, hosted, a bias": Of("T5Model", T5, THREE, hosted=True, scale=0.25),
    "doge, hosted, a mask that adds numbers": Of("DogeModel", GROUPED, {"self": [EVERYTHING] * 2}, hosted=True),
}


def encoding(ids: list[int]) -> Encoding:
    return Encoding("", None, tuple(map(int, ids)), (0,) * len(ids), tuple(map(str, ids)), (False,) * len(ids), ())


def run(backend: Native | Hosted, observers: list[Observer]) -> None:
    backend.run(encoding(IDS), observers, encoding(TARGET) if "cross" in backend.kinds else None)


@pytest.fixture(params=MODELS, ids=MODELS.keys())
def of(request: pytest.FixtureRequest) -> Of:
    return MODELS[request.param]


@pytest.mark.parametrize("bound", [4 * LENGTH * 20, 1 << 22])
def test_observers_of_a_model_keep_what_its_weights_say(
    of: Of, bound: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "TILE", bound)
    weights = Weights()
    monkeypatch.setattr(kernel, "PARALLEL", 0)  # the passes are compiled
    sizes = {"encoder": (LENGTH, LENGTH), "decoder": (WRITTEN, WRITTEN), "cross": (WRITTEN, LENGTH)}
    kept = {
        kind: (Units(*map(range, sizes.get(kind, (LENGTH, LENGTH))), links=LinkSelection(5)), HeadSums(firsts=True))
        for kind in of.layer_windows
    }
    backend = of.backend(tmp_path)
    assert backend.kinds == tuple(kept)
    run(backend, [weights, *(Only(kind, each) for kind, each in kept.items())])
    for kind, (units, sums) in kept.items():
        assert units.layers() == sums.layers == weights.layers(kind) == (0, 1)
        figures, received, profile = sums.figures, sums.received(), sums.profile
        for layer, window in enumerate(of.layer_windows[kind]):
            full, found = weights.layer(layer, kind), units.found[layer]
            np.testing.assert_allclose(found.weights, full.topk(5).values, rtol=1e-6)
            there = full.gather(-1, torch.from_numpy(found.keys).clamp(min=0).long()).numpy()
            np.testing.assert_allclose(there * (found.keys >= 0), found.weights, rtol=1e-6)
            np.testing.assert_allclose(received[layer], full.double().sum(1), rtol=1e-5, atol=1e-5)
            expected = means(full.double(), visible(window, *full.shape[1:]))
            for name, rows in expected.items():
                np.testing.assert_allclose(figures[name][layer], rows.nanmean(-1), rtol=1e-5, atol=1e-5, err_msg=name)
            np.testing.assert_allclose(profile[layer], profile_of(full.double()).mean(1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["llama", "mixtral, hosted"])
def test_an_observer_of_ones_own_needs_nothing_from_the_kernel(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far the queries look back on the whole, in the layers of whatever model: a class and nothing else."""

    class Farthest(Observer):
        """Keeps for each layer and head the largest distance that gets more than a tenth."""

        def __init__(self) -> None:
            self.farthest: dict[tuple[int, int], int] = {}

        def tile(self, tile: Tile) -> None:
            for head, query, key in torch.nonzero(tile.weights > 0.1).tolist():
                at = tile.layer, tile.head + head
                self.farthest[at] = max(self.farthest.get(at, 0), tile.query + query - tile.key - key)

    monkeypatch.setattr(kernel, "TILE", 150 * 9)
    farthest, weights = Farthest(), Weights()
    run(MODELS[name].backend(tmp_path), [farthest, weights])
    for (layer, head), distance in farthest.farthest.items():
        queries, keys = torch.nonzero(weights.layer(layer)[head] > 0.1, as_tuple=True)
        assert distance == int((queries - keys).max())
    assert len(farthest.farthest) == 8
