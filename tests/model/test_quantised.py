"""Checkpoints whose weights are quantised run hosted, where the package that reads them is installed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from attnviz.checkpoint import open_in_memory, stored_tensors
from attnviz.errors import ModelError
from attnviz.interface import load
from attnviz.model.backends import hosted_reason
from tests import tiny

WIDE = {"hidden_size": 128, "intermediate_size": 128}


def tokenized(folder: Path, base: Path) -> Path:
    shutil.copy(base / "tokenizer.json", folder)
    return folder


@pytest.mark.parametrize("bits", [4, 8])
def test_bitsandbytes(bits: int, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    base = tiny.llama(tmp_path / "base", **WIDE)
    asked = transformers.BitsAndBytesConfig(**{f"load_in_{bits}bit": True})
    whole = transformers.AutoModelForCausalLM.from_pretrained(base, quantization_config=asked, dtype=torch.float32)
    whole.save_pretrained(tmp_path / "small")
    model = load(tokenized(tmp_path / "small", base))
    assert (model.backend.name, model.reason) == ("hosted", "its weights are quantised ('bitsandbytes')")
    encoding = model.encode(tiny.SENTENCE)
    again = [model.backend.run(encoding) for _ in range(3)]
    assert all(torch.equal(again[0], each) for each in again)  # a state_dict changes what is packed for the CPU
    assert model.check(tiny.SENTENCE).passed
    shown, exact = (each.attend(tiny.SENTENCE).weights for each in (model, load(base)))
    assert 0 < np.abs(shown - exact).mean() < 0.1


def test_compressed_tensors(tmp_path: Path) -> None:
    pytest.importorskip("compressed_tensors")
    base, small = tiny.llama(tmp_path / "base"), tmp_path / "small"
    shutil.copytree(base, small)
    tensors = load_file(base / "model.safetensors")
    for name in [name for name in tensors if name.endswith("_proj.weight")]:
        scale = tensors[name].abs().amax(1, keepdim=True) / 127
        tensors[name] = (tensors[name] / scale).round().to(torch.int8)
        tensors[f"{name}_scale"] = scale
    save_file(tensors, small / "model.safetensors", {"format": "pt"})
    weights = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False}
    group = {"targets": ["Linear"], "format": "int-quantized", "weights": weights}
    declare(small, quant_method="compressed-tensors", format="int-quantized", quantization_status="compressed",
            ignore=["lm_head"], config_groups={"group_0": group})  # fmt: skip
    model = load(small)
    assert (model.backend.name, model.reason) == ("hosted", "its weights are quantised ('compressed-tensors')")
    assert model.check(tiny.SENTENCE).passed
    shown, exact = (each.attend(tiny.SENTENCE).weights for each in (model, load(base)))
    assert 0 < np.abs(shown - exact).mean() < 0.02


def declare(folder: Path, **said: Any) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": said}))
    return folder


@pytest.mark.parametrize(
    ("package", "said"),
    [
        ("bitsandbytes", {"quant_method": "bitsandbytes", "load_in_4bit": True}),
        ("compressed-tensors", {"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {}}),
    ],
)
def test_a_package_that_is_missing_is_named(package: str, said: dict[str, Any], tmp_path: Path) -> None:
    try:
        __import__(package.replace("-", "_"))
    except ImportError:
        pass
    else:
        pytest.skip(f"{package} is installed")
    with pytest.raises(ModelError, match="lacks a package") as raised:
        load(declare(tiny.llama(tmp_path), **said)).attend(tiny.SENTENCE)
    assert raised.value.hint == f"Install it: pip install {package}"


def test_the_tensors_of_a_model_are_those_of_its_state_dict(tmp_path: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny.llama(tmp_path, tie_word_embeddings=True))
    expected, found = model.state_dict(), stored_tensors(model)
    assert list(found) == list(expected)
    assert all(found[name].data_ptr() == expected[name].data_ptr() for name in expected)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=tiny.wordpiece())
    assert hosted_reason(open_in_memory(model, tokenizer)) == ""
