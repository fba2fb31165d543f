"""A model that attends by itself returns its own weights, which are shown as such."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers.models.llama.modeling_llama import LlamaAttention
from typer.testing import CliRunner

import attnviz
from attnviz.cli.app import app
from attnviz.errors import InputError, UnsupportedModel, UsageError
from attnviz.model.hosted import observed
from tests import tiny
from tests.schemas import validate
from tests.test_memory_models import TEXT, TOKENIZER, llama, own

CODE = """
import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

class OwnConfig(PreTrainedConfig):
    model_type = "own"
    def __init__(self, vocab_size=100, hidden_size=32, layers=2, change="", **given):
        super().__init__(**given)
        self.vocab_size, self.hidden_size, self.layers, self.change = vocab_size, hidden_size, layers, change

class OwnModel(PreTrainedModel):
    config_class = OwnConfig
    def __init__(self, config):
        super().__init__(config)
        self.table = nn.Embedding(config.vocab_size, config.hidden_size)
        self.mixes = nn.ModuleList(nn.Linear(config.hidden_size, config.hidden_size) for _ in range(config.layers))
        self.post_init()
    def get_input_embeddings(self):
        return self.table
    def forward(self, input_ids, attention_mask=None, output_attentions=False):
        x, maps = self.table(input_ids), []
        for mix in self.mixes:
            q = mix(x).view(1, -1, 4, 8).transpose(1, 2)
            a = (q @ q.transpose(2, 3)).softmax(-1)
            x = x + (a @ q).transpose(1, 2).flatten(2)
            maps.append({"": a, "scores": a * 3, "nan": a / 0 * 0, "mean": a.mean(1), "none": None}[self.config.change])
        attentions = tuple(maps) if output_attentions and self.config.change != "nothing" else None
        return BaseModelOutput(last_hidden_state=x, attentions=attentions)
"""


@pytest.fixture(scope="module")
def code() -> dict[str, Any]:
    found: dict[str, Any] = {"__name__": "somebody"}
    exec(CODE, found)
    return found


def make(code: dict[str, Any], **config: Any) -> Any:
    model = code["OwnModel"](code["OwnConfig"](vocab_size=len(tiny.VOCABULARY), **config)).eval()
    tiny.randomise(model)
    return model


def said(model: Any) -> Any:
    with torch.inference_mode():
        given = TOKENIZER(TEXT, return_tensors="pt")["input_ids"]
        return torch.cat(model(given, output_attentions=True).attentions).numpy()


def test_a_model_of_somebodys_is_observed(code: dict[str, Any], tmp_path: Path) -> None:
    model = make(code)
    mine = attnviz.load((model, TOKENIZER))
    found = mine.attend(TEXT)
    assert (found.backend, found.causal, found.shape) == ("observed", False, (2, 4, 8, 8))
    np.testing.assert_array_equal(found.weights, said(model))
    kept = mine.observe(TEXT)
    assert (kept.backend, kept.layers, kept.heads) == ("observed", 2, 4)
    found.save(tmp_path / "record.json")
    assert attnviz.Attention.open(tmp_path / "record.json").backend == "observed"
    with pytest.raises(UsageError, match="nothing to compare with"):
        mine.check(TEXT)
    with pytest.raises(UsageError, match="no scores q·k"):
        mine.attend(TEXT, scores=True)
    with pytest.raises(UsageError, match=r"attends by itself .* and no queries and keys"):
        mine.attend(TEXT, neurons=True)
    exact = attnviz.load((model, TOKENIZER), dtype="float64").attend(TEXT)
    np.testing.assert_allclose(exact.weights, said(model), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "scores",
            r"layer 0: its attentions are no weights: .*, and a query's sum to 3 to 3, expected 1",
        ),
        ("nan", "layer 0: its attentions hold NaN or infinity"),
        ("mean", r"its attentions are \(1, 8, 8\), expected \(1, heads, 8, 8\)"),
        ("none", "hands in no attentions where output_attentions is asked for"),
    ],
)
def test_what_are_no_weights(code: dict[str, Any], change: str, message: str) -> None:
    with pytest.raises((UnsupportedModel, attnviz.errors.ModelError), match=message):
        attnviz.load((make(code, change=change), TOKENIZER)).attend(TEXT)


def test_a_long_text_is_refused_with_its_size(code: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    mine = attnviz.load((make(code), TOKENIZER))
    mine.attend(TEXT)
    monkeypatch.setattr(observed, "free_memory", lambda _: 2000)
    with pytest.raises(InputError, match=r"all at once, would take 2\.0 kB, and 2\.0 kB are free"):
        mine.attend(TEXT)


def test_a_folder_with_code_of_its_own(code: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "cache"))
    model, folder = make(code), tmp_path / "model"
    model.save_pretrained(folder)
    config = json.loads(folder.joinpath("config.json").read_text())
    config |= {"auto_map": {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}}
    folder.joinpath("config.json").write_text(json.dumps(config))
    folder.joinpath("own.py").write_text(CODE)
    tiny.wordpiece().save(str(folder / "tokenizer.json"))
    options = ["--model", str(folder), "--trust-remote-code"]
    shown = CliRunner().invoke(app, ["show", TEXT, "--layer", "0", "--head", "0", *options])
    assert shown.exit_code == 0, shown.output
    assert "observed: the model's own weights" in shown.output
    assert "not checked against transformers (observed: the model's own weights, nothing to compare with)" in " ".join(
        shown.output.split()
    )
    assert "✓" not in shown.output
    as_json = json.loads(CliRunner().invoke(app, ["show", TEXT, "--json", *options]).stdout)
    validate(as_json)
    assert (as_json["backend"], as_json["check"]) == ("observed", None)
    checked = CliRunner().invoke(app, ["check", TEXT, *options])
    assert (
        checked.exit_code,
        "✓" in checked.output,
        "nothing to compare with" in " ".join(checked.output.split()),
    ) == (0, False, True)
    planned = CliRunner().invoke(app, ["models", str(folder), "--trust-remote-code"])
    assert planned.stdout.splitlines()[0].endswith("· observed"), planned.output
    record = attnviz.load(folder, trust_remote_code=True).attend(TEXT)
    np.testing.assert_array_equal(record.weights, said(model))


def test_a_layer_that_attends_by_itself_is_not_left_out() -> None:
    class Uniform(LlamaAttention):
        def forward(self, hidden_states: torch.Tensor, **_: Any) -> Any:
            weights = torch.ones(1, 4, *hidden_states.shape[1:2] * 2).tril()
            weights = weights / weights.sum(-1, keepdim=True)
            return weights[:, 0] @ hidden_states, weights

    model = llama()
    model.model.layers[0].self_attn = Uniform(model.config, 0)
    mine = attnviz.load((model, TOKENIZER))
    found = mine.attend(TEXT)
    assert (found.backend, found.causal, len(found.weights)) == ("observed", True, 2)
    np.testing.assert_allclose(found.weights, own(model), atol=1e-6)
    assert "layers.0.self_attn is a Uniform, its config makes a LlamaAttention" in mine.reason


def test_an_attention_function_of_somebodys_counts() -> None:
    def sharper(module: Any, q: Any, k: Any, v: Any, mask: Any, scaling: float, **given: Any) -> Any:
        from transformers.models.llama.modeling_llama import eager_attention_forward

        return eager_attention_forward(module, q, k, v, mask, scaling=scaling * 3, **given)

    transformers.AttentionInterface.register("sharper", sharper)
    transformers.AttentionMaskInterface.register("sharper", transformers.masking_utils.eager_mask)
    model = llama()
    model.set_attn_implementation("sharper")
    with torch.inference_mode():
        right = torch.cat(model(**TOKENIZER(TEXT, return_tensors="pt"), output_attentions=True).attentions).numpy()
    found = attnviz.load((model, TOKENIZER)).attend(TEXT)
    assert found.backend == "observed"
    np.testing.assert_allclose(found.weights, right, atol=1e-6)
    assert np.abs(found.weights - own(model)).max() > 0.01
    transformers.AttentionInterface._global_mapping.pop("sharper")
    transformers.AttentionMaskInterface._global_mapping.pop("sharper")
