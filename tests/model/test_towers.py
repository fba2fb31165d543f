"""The text models inside larger ones, which read pictures or sound too, are run and checked with the whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CONFIG_MAPPING
from transformers.models.auto import modeling_auto

import attnviz
from attnviz.checkpoint import open_checkpoint
from attnviz.errors import InputError
from attnviz.model.families import find_family
from attnviz.model.overview import overview
from attnviz.model.towers import TOWERS, text_config
from tests import tiny
from tests.model.published_larger import LARGER
from tests.model.zoo import sizes

TEXT = "The bank approved the loan."
MARK = tiny.VOCABULARY.index("[MASK]")

_SEEING: Mapping[str, Any] = {
    **dict.fromkeys(("hidden_size", "embed_dim", "d_model", "intermediate_size", "encoder_ffn_dim", "image_size"), 16),
    **dict.fromkeys(("num_attention_heads", "num_heads", "encoder_attention_heads"), 2),
    **dict.fromkeys(("num_hidden_layers", "num_layers", "depth", "encoder_layers"), 1),
    "patch_size": 8,
    "num_position_embeddings": 16,
    "out_hidden_size": 32,
    "mlp_dim": 16,
    "output_channels": 8,
    "deepstack_visual_indexes": [0],
    "max_source_positions": 8,
    "base_channels": 32,
    "global_attn_indexes": [0],
    "num_embeddings": 8,
    "resampler_n_heads": 4,
    "resampler_depth": 1,
    "resampler_head_dim": 8,
}
"""The sizes of a small part that reads something else than text."""
_TURNS = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
FAST = ("idefics3", "llava", "qwen2_vl", "qwen3_vl")
"""One type for each way to name the tensors."""
KINDS = [pytest.param(kind, marks=() if kind in FAST else pytest.mark.slow) for kind in sorted(TOWERS)]


def small(kind: str, **text: Any) -> Any:
    """A tiny random larger model, with a head where there is one, whose text model is as ``text`` says."""
    made = CONFIG_MAPPING[kind]
    usual = made()
    own = getattr(usual, "text_config", None) or usual.get_text_config()
    if kind.startswith("qwen3_5"):  # three layers of four do not attend
        text = {"num_hidden_layers": 4, "layer_types": ["linear_attention", "full_attention"] * 2} | text
    said = usual.to_dict()
    parts: dict[str, Any] = {"text_config": {"model_type": own.model_type, **sizes(own), **text}}
    if "mrope" in str(own.to_dict()) or kind.startswith(("qwen2", "glm")):
        parts["text_config"]["rope_parameters"] = _TURNS | ({"mrope_section": [1, 1, 0]} if kind == "glm4v_moe" else {})
    for name in said.keys() - {"text_config"}:
        if name.endswith("_config") and isinstance(said[name], dict):
            part = said[name]
            parts[name] = {key: value for key, value in _SEEING.items() if key in part}
            parts[name] |= {"model_type": part["model_type"]} if part.get("model_type") else {}
    parts |= {name: MARK for name in said if re.match(r"(image|audio)_token_(id|index)$", name)}
    parts |= {name: 0 for name in ("pad_token_id",) if name in said}
    parts |= {name: len(tiny.VOCABULARY) for name in ("vocab_size",) if name in said}
    parts |= {name: 32 for name in ("hidden_size", "projection_dim") if name in said}
    tasks = ("IMAGE_TEXT_TO_TEXT", "SEQ_TO_SEQ_CAUSAL_LM", "CAUSAL_LM", "MULTIMODAL_LM")
    names = [getattr(modeling_auto, f"MODEL_FOR_{task}_MAPPING_NAMES", {}).get(kind) for task in tasks]
    name = next(filter(None, (*names, modeling_auto.MODEL_MAPPING_NAMES[kind])))
    torch.manual_seed(0)
    return getattr(transformers, name)(made(**parts))


def renamed(folder: Path, rename: Callable[[str], str]) -> None:
    """Give the tensors of a saved model other names."""
    tensors: dict[str, Tensor] = load_file(folder / "model.safetensors")
    save_file(
        {rename(name): tensor for name, tensor in tensors.items()}, folder / "model.safetensors", {"format": "pt"}
    )


def as_today(name: str) -> str:
    """The name of a tensor as the modules of today are called, which is how newer checkpoints have them."""
    if name.startswith(("model.", "lm_head.")):
        return name
    return (
        name.removeprefix("language_model.")
        if "lm_head" in name
        else re.sub(r"^language_model\.model\.", "model.language_model.", name)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_model_is_native_and_agrees_with_the_whole(kind: str, tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", small(kind))
    facts = overview(open_checkpoint(folder))
    assert (facts.backend, facts.facts.get("not read", "")) == ("native", "")
    assert facts.facts["part"].startswith(f"the text model, {TOWERS[kind].kind}: texts alone")
    mine = attnviz.load(folder)
    found = mine.check(TEXT)
    assert found.passed
    assert found.heads == 8
    if TOWERS[kind].alone:  # it has no token that stands for a picture
        return
    with pytest.raises(InputError, match=r"has '\[MASK\]' at character 4, which stands for a picture"):
        mine.attend("The [MASK] approved the loan.")
    renamed(folder, as_today)
    again = attnviz.load(folder)
    assert torch.equal(torch.as_tensor(again.attend(TEXT).weights), torch.as_tensor(mine.attend(TEXT).weights))


@pytest.mark.parametrize(
    ("body", "head"),
    [
        ("language_model.model.", "language_model.lm_head."),
        ("model.language_model.", "lm_head."),
        ("model.text_model.", "lm_head."),
        ("language_model.", "lm_head."),
        ("text_model.", "lm_head."),
        ("model.", "lm_head."),
    ],
)
def test_the_weights_are_found_under_each_name(body: str, head: str, tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", small("llava"))
    expected = attnviz.load(folder)
    renamed(folder, lambda name: name.replace("language_model.model.", body).replace("language_model.lm_head.", head))
    found = attnviz.load(folder)
    assert found.backend.unread == ()
    assert torch.equal(torch.as_tensor(found.attend(TEXT).weights), torch.as_tensor(expected.attend(TEXT).weights))
    assert found.attend(TEXT, generate=3).tokens == expected.attend(TEXT, generate=3).tokens


def test_experts_may_be_stored_transposed(tmp_path: Path) -> None:
    """As published Qwen3-VL MoEs have them."""
    folder = tiny.save(tmp_path / "model", small("qwen3_vl_moe", moe_intermediate_size=12))
    expected = attnviz.load(folder).attend(TEXT).weights
    tensors = load_file(folder / "model.safetensors")
    tensors |= {name: tensor.mT.contiguous() for name, tensor in tensors.items() if ".experts." in name}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    found = attnviz.load(folder)
    torch.testing.assert_close(torch.as_tensor(found.attend(TEXT).weights), torch.as_tensor(expected))
    assert found.check(TEXT).passed


@pytest.mark.parametrize("kind", sorted(TOWERS))
@pytest.mark.parametrize("inner", [False, True])
def test_what_a_larger_config_leaves_out_is_as_in_transformers(kind: str, inner: bool) -> None:
    said = {"tie_word_embeddings": inner}
    theirs = CONFIG_MAPPING[kind](text_config=said)
    mine = text_config({"model_type": kind, "text_config": said})
    assert mine["model_type"] == theirs.text_config.model_type
    assert mine["tie_word_embeddings"] == getattr(theirs, "tie_word_embeddings", inner and TOWERS[kind].inner)


@pytest.mark.parametrize("config", LARGER.values(), ids=LARGER.keys())
def test_a_published_larger_config_is_read_as_transformers_reads_it(config: dict[str, Any]) -> None:
    family = find_family(config)
    written = CONFIG_MAPPING[config["model_type"]](**{k: v for k, v in config.items() if k != "model_type"}).to_dict()
    assert family.spec(config) == find_family(written).spec(written)
