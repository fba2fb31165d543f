"""Which backend runs a checkpoint, in which type, and what is reported if none can."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertModel, PreTrainedTokenizerFast

from attnviz.attention.kernel import Observer
from attnviz.checkpoint import open_checkpoint
from attnviz.errors import ExitCode, ModelError, UnsupportedModel, UsageError
from attnviz.interface import load
from attnviz.model.backends import (
    DTYPES,
    Options,
    available_devices,
    hosted_reason,
    open_backend,
    placement,
    read_options,
)
from attnviz.model.hosted import Hosted
from attnviz.model.native.backend import Native
from tests import tiny


def changed(folder: Path, target: Path, **config: Any) -> Path:
    """Return a copy of the model in ``folder`` with other attributes in its config."""
    shutil.copytree(folder, target, dirs_exist_ok=True)
    path = target / "config.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | config))
    return target


@pytest.mark.parametrize("name", ["tiny_bert", "tiny_llama", "tiny_t5"])
def test_what_a_family_file_expresses_is_native(name: str, request: pytest.FixtureRequest) -> None:
    checkpoint = open_checkpoint(request.getfixturevalue(name))
    backend, reason = open_backend(checkpoint, Options())
    assert isinstance(backend, Native)
    assert (backend.name, reason, hosted_reason(checkpoint)) == ("native", "", "")


def test_a_short_text_runs_in_one_thread_and_a_long_one_in_all(
    tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Threads(Observer):
        def hidden(self, *_: object) -> None:
            seen.append(torch.get_num_threads())

    model, before, seen = load(tiny_bert), torch.get_num_threads(), list[int]()
    torch.set_num_threads(2)
    try:
        model.attend(tiny.SENTENCE, observers=[Threads()])
        monkeypatch.setattr("attnviz.model.native.backend._SHORT", 0)
        model.attend(tiny.SENTENCE, observers=[Threads()])
        assert (set(seen), seen[0], seen[-1], torch.get_num_threads()) == ({1, 2}, 1, 2, 2)
    finally:
        torch.set_num_threads(before)


def test_a_type_without_a_family_file_is_hosted_and_the_reason_names_it(tiny_hosted: Path) -> None:
    model = load(tiny_hosted)
    assert isinstance(model.backend, Hosted)
    assert model.backend.name == "hosted"
    assert model.reason.startswith("attnviz has no forward pass of its own for models of type 'dots1'")
    assert model.attend(tiny.SENTENCE).backend == "hosted"


def test_a_config_that_asks_for_more_than_we_know_is_hosted_and_the_reason_names_it(
    tiny_llama: Path, tmp_path: Path
) -> None:
    model = load(changed(tiny_llama, tmp_path, new_kind_of_mask=3))
    assert isinstance(model.backend, Hosted)
    assert "new_kind_of_mask = 3" in model.reason
    # transformers passes over it, so that both give the same here.
    native, hosted = load(tiny_llama).attend(tiny.SENTENCE), model.attend(tiny.SENTENCE)
    assert (native.backend, hosted.backend, native.causal, hosted.causal) == ("native", "hosted", True, True)
    assert np.abs(native.weights - hosted.weights).max() < 1e-5


def test_a_model_that_neither_way_runs_is_an_error_that_says_both_reasons(tiny_bert: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(changed(tiny_bert, tmp_path, model_type="brt"))
    with pytest.raises(UnsupportedModel) as caught:
        open_backend(checkpoint, Options())
    error = caught.value
    assert error.exit_code is ExitCode.MODEL
    assert error.message == (
        f"{tmp_path.name}: attnviz has no forward pass of its own for models of type 'brt'; "
        "and transformers does not know the type 'brt'"
    )
    assert error.hint == "Did you mean bert? What attnviz runs is listed by: attnviz models"


def test_a_damaged_config_is_no_reason_to_host(tiny_bert: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(changed(tiny_bert, tmp_path, num_attention_heads=0))
    with pytest.raises(ModelError, match="num_attention_heads is 0") as caught:
        open_backend(checkpoint, Options())
    assert not isinstance(caught.value, UnsupportedModel)


def own_code(plain: Path, folder: Path) -> Path:
    """Make a Llama of a type that transformers does not know, whose code touches ``executed`` beside the folder."""
    model = changed(
        plain,
        folder / "model",
        model_type="own",
        auto_map={"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"},
        architectures=None,
    )
    (model / "own.py").write_text(
        f"from pathlib import Path\nPath({str(folder / 'executed')!r}).touch()\n"
        "from transformers import LlamaConfig, LlamaModel\n"
        "class OwnConfig(LlamaConfig):\n    model_type = 'own'\n"
        "class OwnModel(LlamaModel):\n    config_class = OwnConfig\n"
    )
    return model


def test_code_of_a_checkpoint_runs_only_where_it_is_trusted(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "cache"))
    folder = own_code(tiny_llama, tmp_path)
    with pytest.raises(UnsupportedModel, match="`trust_remote_code` runs the model's own code") as caught:
        load(folder).attend(tiny.SENTENCE)
    assert caught.value.exit_code is ExitCode.MODEL
    assert not (tmp_path / "executed").exists()

    model = load(folder, trust_remote_code=True)
    attention = model.attend(tiny.SENTENCE)
    assert (tmp_path / "executed").exists()
    assert attention.backend == "hosted"
    assert np.abs(attention.weights - load(tiny_llama).attend(tiny.SENTENCE).weights).max() < 1e-5
    assert model.check(tiny.SENTENCE).passed


def test_a_type_that_transformers_knows_is_run_by_transformers_whatever_code_it_brings(
    tiny_hosted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "cache"))
    folder = own_code(tiny_hosted, tmp_path)
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"own"', '"dots1"'))
    assert load(folder).check(tiny.SENTENCE).passed
    assert not (tmp_path / "executed").exists()


def test_trust_changes_nothing_for_a_model_without_code(tiny_bert: Path, tiny_hosted: Path) -> None:
    assert isinstance(load(tiny_bert, trust_remote_code=True).backend, Native)
    assert load(tiny_hosted, trust_remote_code=True).check(tiny.SENTENCE).passed


def test_options_are_read_by_name() -> None:
    for name, dtype in DTYPES.items():
        assert read_options(name, "cpu", trust_remote_code=False) == Options(dtype, "cpu")
    assert read_options("float32", "cpu", trust_remote_code=True) == Options(device="cpu", trust_remote_code=True)
    assert read_options("float32", None, trust_remote_code=False) == Options()


@pytest.mark.parametrize("name", ["float8", "double", "", "torch.float32"])
def test_a_type_of_numbers_that_there_is_not_is_told_which_there_are(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        load("default", dtype=name)
    assert caught.value.message == f"`dtype` is {name!r}, expected one of float32, float64, bfloat16, float16"


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "", "meta"])
def test_a_device_that_there_is_not_is_told_which_there_are(name: str) -> None:
    with pytest.raises(UsageError, match=f"`device` is '{name}'; this machine has (mps, |cuda, .*)?cpu$"):
        load("default", device=name)


def test_the_fastest_device_is_the_first_that_is_present(
    tiny_bert: Path, tiny_hosted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = [open_checkpoint(folder) for folder in (tiny_bert, tiny_hosted)]
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert available_devices() == ["cuda", "cuda:0", "cuda:1", "cpu"]
    assert read_options("float32", "cuda:1", trust_remote_code=False).device == "cuda:1"
    with pytest.raises(UsageError, match="this machine has cuda, cuda:0, cuda:1, cpu"):
        read_options("float32", "cuda:2", trust_remote_code=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert available_devices() == ["mps", "cpu"]
    for checkpoint in checkpoints:
        assert placement(checkpoint, Options()) == (torch.float32, "cpu")
        with monkeypatch.context() as patch:
            patch.setattr("importlib.util.find_spec", lambda _: None)  # no accelerate, which would spread it
            assert placement(checkpoint, Options(device="auto")) == (torch.float32, "mps")


class States(Observer):
    """Records the types of the hidden states."""

    def __init__(self) -> None:
        self.found: set[torch.dtype] = set()

    def hidden(self, layer: int, states: torch.Tensor, kind: Any = "self") -> None:  # noqa: ARG002
        self.found.add(states.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["tiny_bert", "tiny_llama", "tiny_t5", "tiny_hosted"])
def test_a_model_runs_in_every_type_of_numbers(name: str, dtype: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name)
    model, exact = load(folder, dtype=dtype), load(folder)
    target = "the bank" if name == "tiny_t5" else None
    states = States()
    encoding, decoded = model.inputs(tiny.SENTENCE, target=target)
    model.backend.run(encoding, [states], decoded)
    assert states.found == {DTYPES[dtype]}
    found, expected = (each.attend(tiny.SENTENCE, target=target) for each in (model, exact))
    maps = [(found.cross, expected.cross)] if hasattr(found, "cross") and hasattr(expected, "cross") else []
    maps = maps or [(found, expected)]  # type: ignore[list-item]
    coarse = {"float32": 0.0, "float64": 1e-4}.get(dtype, 0.5)
    for mine, other in maps:
        assert mine.weights.shape == other.weights.shape
        assert np.abs(mine.weights.sum(-1) - 1).max() < (1e-2 if coarse == 0.5 else 1e-5)
        assert np.abs(mine.weights - other.weights).max() <= coarse
        # Half precision is near on the whole, though single weights of random models may be far.
        assert np.abs(mine.weights - other.weights).mean() <= coarse / 25


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["tiny_llama", "tiny_hosted"])
def test_a_model_in_half_precision_is_checked_as_it_runs_and_in_float32(
    name: str, dtype: str, request: pytest.FixtureRequest
) -> None:
    check = load(request.getfixturevalue(name), dtype=dtype).check(tiny.SENTENCE)
    assert (check.passed, check.dtype, check.heads) == (True, dtype, 12)
    assert check.rounding is not None
    assert 0 < check.rounding.times < check.rounding.bound
    assert check.double is not None
    assert (check.double.dtype, check.double.max_abs_diff <= 1e-5) == ("float32", True)


def test_options_are_those_of_the_way(tiny_bert: Path) -> None:
    checkpoint = open_checkpoint(tiny_bert)
    backend, _ = open_backend(checkpoint, replace(Options(), dtype=torch.float64))
    assert isinstance(backend, Native)
    assert backend.network.dtype is torch.float64


def test_a_model_in_memory_is_run_as_its_config_says(tiny_bert: Path) -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tiny.wordpiece())
    model = BertModel.from_pretrained(tiny_bert)
    assert isinstance(load((model, tokenizer)).backend, Native)
    model.config.new_kind_of_mask = 3
    hosted = load((model, tokenizer))
    assert isinstance(hosted.backend, Hosted)
    assert hosted.backend.model is model  # it is not copied
    assert hosted.check(tiny.SENTENCE).passed
