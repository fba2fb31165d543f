"""The overview of a checkpoint: its backend, the reason, and what it is made of, in words and numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from attnviz.checkpoint import Checkpoint, open_checkpoint
from attnviz.errors import ModelError, join_ranges
from attnviz.model import overview as plans
from attnviz.model.architecture.description import describe
from attnviz.model.families import ALIASES, FAMILIES, find_family
from attnviz.model.listing import list_families
from attnviz.model.overview import Overview, overview
from tests import tiny
from tests.model.parity import spec_of
from tests.model.variants import Variant, all_variants

CASES = all_variants()


def first(family: str) -> Variant:
    """The first variant of a family."""
    return next(variant for (name, _), variant in CASES.items() if name == family)


@pytest.mark.parametrize(
    ("family", "name", "said"),
    [
        ("bert", "encoder", {"sees": "all tokens", "position": "learned vectors", "limit": "40 tokens", "head": None}),
        ("bert", "decoder", {"sees": "itself and all before"}),
        ("albert", "all layers share one's weights", {"layers": "4, 1 stored and shared"}),
        ("albert", "groups of layers", {"layers": "4, 2 stored and shared"}),
        (
            "llama",
            "grouped queries",
            {
                "layers": "3",
                "heads": "4 of size 8, 2 key-value heads",
                "width": "32",
                "sees": "itself and all before",
                "position": "rotary, θ 10,000",
                "norms": "RMSNorm, before each sublayer",
                "MLP": "gated silu, 48 units",
                "vocabulary": "50 tokens",
                "scores": None,
                "limit": None,
            },
        ),
        ("llama", "one key head", {"heads": "4 of size 8, 1 key-value head"}),
        ("llama", "as many key heads", {"heads": "4 of size 8"}),
        ("llama", "with a head", {"head": "a matrix of its own"}),
        ("llama", "with a tied head", {"head": "the token vectors (tied)"}),
        ("llama", "yarn rotary", {"position": "rotary, θ 100, yarn scaling"}),
        ("llama", "mistral: window", {"sees": "itself and the 4 before"}),
        (
            "llama",
            "ministral: windows in some layers",
            {"sees": "itself and the 4 before in layers 0, 2; itself and all before in layer 1"},
        ),
        (
            "llama",
            "smollm3: a layer without rotary",
            {"position": "rotary, θ 2,000,000 in layers 0–2, 4; none in layer 3"},
        ),
        (
            "t5",
            "encoder–decoder",
            {
                "encoder layers": "3",
                "decoder layers": "2",
                "encoder sees": "all tokens",
                "decoder sees": "itself and all before",
                "encoder position": "a bias for each of 8 buckets of distance, up to 15",
                "encoder scores": "not scaled",
                "decoder MLP": "relu, 48 units",
                "layers": None,
                "vocabulary": "50 tokens",
            },
        ),
    ],
)
def test_a_spec_in_words(family: str, name: str, said: dict[str, str | None]) -> None:
    facts = describe(spec_of(CASES[family, name]))
    assert {fact: facts.get(fact) for fact in said} == said


def test_soft_caps_scales_and_norms_around_are_said() -> None:
    facts = describe(spec_of(first("gemma2")))
    assert facts["norms"] == "RMSNorm, before and after each sublayer"
    assert "soft cap" in facts["scores"]
    facts = describe(spec_of(first("qwen3")))
    assert "queries and keys normed" in facts["scores"]
    facts = describe(spec_of(first("deberta-v2")))
    assert "disentangled, " in facts["position"]
    assert facts["norms"] == "LayerNorm, after each sublayer is added"


@pytest.mark.parametrize(("family", "name"), CASES, ids=[f"{family}: {name}" for family, name in CASES])
def test_every_variant_is_described(family: str, name: str) -> None:
    facts = describe(spec_of(CASES[family, name]))
    assert all(words and words.strip() == words and "None" not in words for words in facts.values())
    assert {"vocabulary", "parameters"} <= facts.keys()


@pytest.mark.parametrize(
    ("numbers", "said"), [([0], "0"), ([0, 1, 2, 3, 5, 7, 8, 9], "0–3, 5, 7–9"), ([2, 4], "2, 4"), ([], "")]
)
def test_numbers_of_layers_are_joined(numbers: list[int], said: str) -> None:
    assert join_ranges(numbers) == said


def plan_of(folder: Path, **config: Any) -> Overview:
    checkpoint = open_checkpoint(folder)
    checkpoint.config.update(config)
    return overview(checkpoint)


def test_a_native_model(tiny_llama: Path) -> None:
    found = plan_of(tiny_llama)
    assert (found.name, found.model_type, found.backend) == (tiny_llama.name, "llama", "native")
    assert found.reason == "a family file expresses all of its config"
    config = json.loads((tiny_llama / "config.json").read_text())
    assert found.facts == describe(find_family(config).spec(config))
    stored = load_file(tiny_llama / "model.safetensors")
    count = sum(tensor.numel() for name, tensor in stored.items() if name != "lm_head.weight")
    assert found.facts["parameters"] == f"{count:,}, without a head"


def test_a_head_is_tied_where_the_checkpoint_has_no_other(tiny_t5: Path, tmp_path: Path) -> None:
    assert plan_of(tiny_t5).facts["head"] == "the token vectors (tied)"
    shutil.copytree(tiny_t5, tmp_path, dirs_exist_ok=True)
    tensors = load_file(tiny_t5 / "model.safetensors")
    save_file(tensors | {"lm_head.weight": tensors["shared.weight"] + 1}, tmp_path / "model.safetensors")
    assert plan_of(tmp_path).facts["head"] == "a matrix of its own"


def test_a_hosted_model_is_described_by_what_its_config_says(tiny_hosted: Path) -> None:
    found = plan_of(tiny_hosted)
    assert (found.model_type, found.backend) == ("dots1", "hosted")
    assert "no forward pass of its own for models of type 'dots1'" in found.reason
    count = sum(tensor.numel() for tensor in load_file(tiny_hosted / "model.safetensors").values())
    assert found.facts == {
        "layers": "3",
        "heads": "4",
        "key-value heads": "2",
        "width": "32",
        "experts": "4",
        "vocabulary": f"{len(tiny.VOCABULARY)}",
        "limit": "64",
        "parameters": f"{count:,}",
    }


def test_a_model_that_our_forward_pass_knows_but_not_its_config_is_hosted(tiny_llama: Path) -> None:
    found = plan_of(tiny_llama, new_kind_of_mask=3)
    assert (found.backend, found.facts["layers"]) == ("hosted", "3")
    assert "new_kind_of_mask = 3" in found.reason


def test_a_model_that_nothing_runs(tiny_bert: Path) -> None:
    found = plan_of(tiny_bert, model_type="brt")
    assert found.backend == "not at all"
    assert "transformers does not know the type 'brt'. Did you mean bert?" in found.reason
    found = plan_of(tiny_bert, model_type="fnet")
    assert (found.backend, found.model_type) == ("not at all", "fnet")
    assert found.reason.startswith("fnet mixes tokens by a Fourier transform in place of attention")


def test_a_damaged_config_is_an_error(tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match="num_hidden_layers is 0"):
        plan_of(tiny_bert, num_hidden_layers=0)


def test_a_plan_reads_no_weights(tiny_llama: Path, tiny_hosted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnviz.checkpoint.files.Safetensors.__getitem__", lambda *_: pytest.fail("a tensor was read"))
    assert [plan_of(folder).backend for folder in (tiny_llama, tiny_hosted)] == ["native", "hosted"]


def test_the_text_part_of_a_config_is_read_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "_hosted_overview", lambda *_: ("hosted", {}))  # there are no files to load
    config = {"model_type": "gemma3n", "text_config": {"model_type": "gemma3n_text", "num_hidden_layers": 7}}
    found = overview(Checkpoint("tiny", config, {}, tiny.wordpiece(), reference=None))
    assert (found.backend, found.facts) == ("hosted", {"layers": "7"})


def test_every_family_has_a_row_with_its_aliases_and_a_word_on_it() -> None:
    found = list_families()
    assert [row.name for row in found] == list(FAMILIES)
    assert all(row.about.strip() for row in found)
    listed = {alias: row.name for row in found for alias in row.aliases}
    assert listed == ALIASES


def test_a_pickle_is_counted_too(tmp_path: Path, tiny_hosted: Path) -> None:
    shutil.copytree(tiny_hosted, tmp_path, dirs_exist_ok=True)
    tiny.to_pickle(tmp_path)
    (tmp_path / "config.json").write_bytes((tiny_hosted / "config.json").read_bytes())
    found = plan_of(tmp_path)
    assert found.backend == "hosted"
    assert "parameters" in found.facts
