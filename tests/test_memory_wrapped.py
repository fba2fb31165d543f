"""A model inside another object, with adapters, or beside the given folder, is found or named."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import nn

import attnviz
from attnviz.errors import ModelError, UsageError
from tests import tiny
from tests.test_memory_models import TEXT, TOKENIZER, assert_right, llama, own


def test_parallel_models_run_by_the_one_inside() -> None:
    model = llama()
    assert_right(attnviz.load((nn.DataParallel(model), TOKENIZER)), model, "the model is wrapped (DataParallel)")


def test_compiled_models_run_by_the_one_inside() -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("it was compiled")

    model = llama()
    compiled = torch.compile(model, backend=refuse)
    assert_right(attnviz.load((nn.DataParallel(compiled), TOKENIZER)), model, "(OptimizedModule in DataParallel)")
    model.compile(backend=refuse)
    model.model.layers[1].mlp = torch.compile(model.model.layers[1].mlp, backend=refuse)
    mine = attnviz.load((model, TOKENIZER))
    assert mine.attend(TEXT).backend == "hosted"
    assert "layers.1.mlp is a OptimizedModule, its config makes a LlamaMLP" in mine.reason
    assert model._compiled_call_impl is not None


@pytest.mark.parametrize("model", [nn.Linear(1, 1), nn.DataParallel(nn.Linear(1, 1)), object()])
def test_what_is_no_model_of_transformers(model: Any) -> None:
    with pytest.raises(ModelError, match="is not a transformers model"):
        attnviz.load((model, TOKENIZER))


@pytest.mark.parametrize("given", [llama, (1,), (1, 2, 3), None])
def test_what_is_no_model_and_tokenizer(given: Any) -> None:
    with pytest.raises(UsageError, match=r"expected a model's name or folder, or \(model, tokenizer\)"):
        attnviz.load(given)


def test_a_model_without_weights() -> None:
    with pytest.raises(ModelError, match="the LlamaForCausalLM has no weights"):
        attnviz.load((llama().to("meta"), TOKENIZER))


def _adapted(model: Any, **config: Any) -> Any:
    peft = pytest.importorskip("peft")
    warnings.simplefilter("ignore", FutureWarning)  # until the end of the test: peft asks an older transformers
    targets = {"target_modules": ["q_proj", "k_proj"], "r": 4, "init_lora_weights": False}
    return peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", **(targets | config)))


def test_adapters_count() -> None:
    adapted = _adapted(llama())
    mine = attnviz.load((adapted, TOKENIZER))
    assert_right(mine, adapted, "the model is wrapped (PeftModelForCausalLM)")
    with adapted.disable_adapter():
        without = mine.attend(TEXT).weights
        np.testing.assert_allclose(without, own(adapted), atol=1e-5)
    assert np.abs(without - mine.attend(TEXT).weights).max() > 0.01
    merged = adapted.merge_and_unload()
    assert_right(attnviz.load((merged, TOKENIZER)), merged)


def test_adapters_that_put_vectors_before_the_text() -> None:
    peft = pytest.importorskip("peft")
    warnings.simplefilter("ignore", FutureWarning)
    model = peft.get_peft_model(llama(), peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3))
    with pytest.raises(ModelError, match=r"'default' \(PROMPT_TUNING\) puts vectors before the text"):
        attnviz.load((model, TOKENIZER))


def test_a_folder_with_an_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tiny.llama(tmp_path / "base")
    adapted = _adapted(transformers.AutoModelForCausalLM.from_pretrained(base))
    adapted.save_pretrained(tmp_path / "adapter")
    mine = attnviz.load(tmp_path / "adapter")
    assert mine.name == "adapter"
    assert_right(mine, adapted, "the model is wrapped (PeftModelForCausalLM)")
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ModelError, match=r"adapter is an adapter \(LORA\) for the model .*base, and peft is") as raised:
        attnviz.load(tmp_path / "adapter")
    assert "pip install 'attnviz[peft]'" in raised.value.hint


def test_an_adapter_whose_model_is_not_there(tmp_path: Path) -> None:
    tmp_path.joinpath("adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "./nowhere"}')
    with pytest.raises(ModelError, match=r"adapter \(LORA\) for the model \./nowhere(: there is no|, and peft)"):
        attnviz.load(tmp_path)
    tmp_path.joinpath("adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(ModelError, match="does not name its base model"):
        attnviz.load(tmp_path)


@pytest.mark.parametrize("top", [False, True])
def test_a_trainings_folder_names_its_checkpoints(tmp_path: Path, top: bool) -> None:
    for step in (500, 1000, 50):
        tmp_path.joinpath(f"checkpoint-{step}").mkdir()
        tmp_path.joinpath(f"checkpoint-{step}/config.json").write_text('{"model_type": "llama"}')
    if top:
        tmp_path.joinpath("config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ModelError, match="has no weights" if top else r"has no config\.json") as raised:
        attnviz.load(tmp_path)
    assert "inside: checkpoint-50, checkpoint-500, checkpoint-1000. Give one of them" in raised.value.hint
    assert raised.value.hint.endswith("checkpoint-1000")
