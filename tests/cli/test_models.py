from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from attnviz.model.families import ALIASES, FAMILIES
from attnviz.model.toured import read_tour
from tests import gguf_files, tiny
from tests.cli.conftest import Result, Run
from tests.model.parity import make
from tests.model.variants import Variant
from tests.model.variants.llama import SHAPE


def facts(result: Result) -> dict[str, str]:
    """The table of facts: names in the first column, words in the second."""
    pairs = [line.strip().split("  ", 1) for line in result.lines[3:] if "  " in line.strip()]
    return {name: words.strip() for name, words in pairs}


def test_without_a_path_all_types_are_counted_and_listed(run: Run) -> None:
    result = run("models")
    assert (result.code, result.err) == (0, "")
    tour = read_tour()
    assert result.lines[0] == f"Of {tour.count} types of text models in transformers {tour.transformers}:"
    said = " ".join(result.out.split())
    native, hosted, observed, refused = re.findall(r"(?:Native|Hosted|Observed|Refused): (\d+)", said)
    assert int(native) + int(hosted) + int(observed) + int(refused) == tour.count
    _, _, listed = said.partition("Native: ")
    families, _, others = listed.partition("Hosted: ")
    assert {*FAMILIES, *ALIASES} <= {*families.replace("·", " ").split()}
    assert {*tour.types["hosted"], *tour.types["observed"], *tour.types["refused"]} <= {
        *families.split(),
        *others.replace(",", " ").split(),
    }
    assert "dots1" in others
    assert "mamba has a recurrent state in place of attention" in others


def test_a_list_of_all_types_loads_no_torch() -> None:
    code = (
        "import sys; from attnviz.cli.models import models; models(); print({'torch', 'transformers'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("llama", "llama is also a model type: such models are native."),
        ("xlnet", "xlnet is also a model type: such models are observed."),
        ("mamba", "such models are refused: it has a recurrent state in place of attention"),
    ],
)
def test_a_type_in_place_of_a_model_is_explained(kind: str, said: str, run: Run) -> None:
    result = run("models", kind)
    assert result.code == 4
    assert said in " ".join(result.said.split())
    assert "also a model type" not in run("models", "nobody").said


def test_a_native_model_says_so_and_what_it_is_made_of(run: Run, tiny_llama: Path) -> None:
    result = run("models", tiny_llama)
    assert (result.code, result.err) == (0, "")
    assert result.lines[0] == f"{tiny_llama.name} · llama · native"
    assert result.lines[1] == "  a family file expresses all of its config"
    found = facts(result)
    assert (found["layers"], found["heads"]) == ("3", "4 of size 8, 2 key-value heads")
    assert found["sees"] == "itself and all before"
    assert found["position"] == "rotary, θ 10,000"
    assert found["parameters"].endswith(", without a head")


def test_an_encoder_decoder_is_two_stacks(run: Run, tiny_t5: Path) -> None:
    found = facts(run("models", tiny_t5))
    assert (found["encoder layers"], found["decoder layers"]) == ("3", "2")
    assert (found["encoder sees"], found["decoder sees"]) == ("all tokens", "itself and all before")


def test_a_hosted_model_says_why(run: Run, tiny_hosted: Path) -> None:
    result = run("models", tiny_hosted)
    assert (result.code, result.err) == (0, "")
    assert result.lines[0] == f"{tiny_hosted.name} · dots1 · hosted"
    assert "attnviz has no forward pass of its own for models of type 'dots1'" in " ".join(result.out.split())
    assert facts(result)["experts"] == "4"


def changed(plain: Path, folder: Path, **config: object) -> Path:
    shutil.copytree(plain, folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | config))
    return folder


def test_a_model_that_nothing_runs_is_an_answer_and_no_error(run: Run, tiny_bert: Path, tmp_path: Path) -> None:
    result = run("models", changed(tiny_bert, tmp_path / "model", model_type="brt"))
    assert (result.code, result.err) == (0, "")
    assert result.lines[0] == "model · brt · not at all"
    said = " ".join(result.out.split())
    assert "Did you mean bert?" in said
    assert "transformers does not know the type 'brt'" in said


def test_escapes_in_a_config_are_shown_harmlessly(run: Run, tiny_bert: Path, tmp_path: Path) -> None:
    folder = changed(tiny_bert, tmp_path / "model", model_type="\x1b[31mbert", new="\x1b[1m")
    result = run("models", folder)
    assert result.code == 0
    assert "\x1b" not in result.out + result.err


def test_a_damaged_config_is_an_error(run: Run, tiny_bert: Path, tmp_path: Path) -> None:
    result = run("models", changed(tiny_bert, tmp_path / "model", num_attention_heads=0))
    assert (result.code, result.out) == (4, "")
    assert "num_attention_heads is 0" in result.said


def test_a_folder_without_a_model_is_an_error(run: Run, tmp_path: Path) -> None:
    result = run("models", tmp_path)
    assert (result.code, result.out) == (4, "")
    assert "has no config.json" in result.said


@pytest.mark.parametrize("command", [["models"], ["show", "the bank", "--no-check"]])
def test_a_file_that_is_no_gguf_is_refused(run: Run, command: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUX" + bytes(40))
    model = ["-m", "default"] if command[0] == "show" else []
    result = run(*command, *model, "--gguf", tmp_path / "a.gguf")
    assert (result.code, result.out) == (4, "")
    assert result.said.startswith(f"error: {tmp_path / 'a.gguf'} is not a GGUF file")


def test_a_gguf_file_that_is_damaged_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF" + bytes(40))
    result = run("models", tmp_path, "--gguf", "a.gguf")
    assert (result.code, result.out) == (4, "")
    assert "Traceback" not in result.err


def test_a_gguf_file_is_shown_and_described(run: Run, tmp_path: Path) -> None:
    model = make(Variant("LlamaForCausalLM", SHAPE), torch.float32)
    path = gguf_files.write(tmp_path / "a.gguf", model)
    shown = run("show", "-m", path, "the bank a b c")
    assert shown.code == 0
    assert "✓ 12 heads agree with transformers" in shown.out
    described = run("models", path)
    assert (described.code, "native" in described.out) == (0, True)


def test_a_gguf_file_of_another_name_is_not_found_in_a_folder(run: Run, tiny_bert: Path) -> None:
    result = run("models", tiny_bert, "--gguf", "b.gguf")
    assert (result.code, result.out) == (4, "")
    assert f"there is no file {tiny_bert / 'b.gguf'}" in result.said


def without(plain: Path, folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    """The model of ``plain`` with its tensors changed."""
    shutil.copytree(plain, folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize("command", [["models"], ["show", "the bank", "--no-check", "-m"]])
def test_a_shape_that_the_config_does_not_ask_for_is_seen_by_all_commands(
    run: Run, command: list[str], tiny_llama: Path, tmp_path: Path
) -> None:
    name = "model.layers.1.self_attn.q_proj.weight"
    folder = without(tiny_llama, tmp_path / "model", lambda tensors: tensors.update({name: torch.ones(32, 16)}))
    result = run(*command, folder)
    assert (result.code, result.out) == (4, "")
    assert f"model: {name} has the shape (32, 16), its config asks for (32, 32)" in result.said


@pytest.mark.parametrize("kind", ["tiny_llama", "tiny_hosted"])
def test_tensors_of_no_use_are_said(run: Run, kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    name = "model.layers.7.self_attn.q_proj.weight"
    folder = without(
        request.getfixturevalue(kind), tmp_path / "model", lambda tensors: tensors.update({name: torch.ones(3)})
    )
    shown = run("show", "the bank", "--no-check", "-m", folder)
    assert shown.code == 0
    assert f"warning: model has tensors of no use for a model of its config: {name}" in shown.said
    if kind == "tiny_llama":
        assert facts(run("models", folder))["not read"] == name


def whisper() -> Any:
    sizes = {f"{part}_{of}": n for part in ("encoder", "decoder") for of, n in (("layers", 1), ("attention_heads", 2))}
    sizes |= {"d_model": 16, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "num_mel_bins": 4, "max_source_positions": 8}
    sizes |= {"max_target_positions": 32, "vocab_size": 95, "decoder_start_token_id": 2, **_MARKS}
    return transformers.WhisperModel(transformers.WhisperConfig(**sizes))


def clip() -> Any:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    texts = sizes | {"vocab_size": 95, "max_position_embeddings": 32, **_MARKS}
    config = transformers.CLIPConfig(text_config=texts, vision_config=sizes | {"image_size": 16, "patch_size": 8})
    return transformers.CLIPModel(config)


def vit() -> Any:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return transformers.ViTModel(transformers.ViTConfig(**sizes, image_size=16, patch_size=8))


def trocr() -> Any:
    sizes = {"d_model": 16, "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 16, "vocab_size": 95}
    return transformers.TrOCRForCausalLM(transformers.TrOCRConfig(**sizes, max_position_embeddings=32, **_MARKS))


def nllb_moe() -> Any:
    sizes = {
        f"{part}_{of}": 2 for part in ("encoder", "decoder") for of in ("layers", "attention_heads", "sparse_step")
    }
    sizes |= {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "d_model": 16, "num_experts": 2, "vocab_size": 95}
    config = transformers.NllbMoeConfig(**sizes, max_position_embeddings=32, decoder_start_token_id=2, **_MARKS)
    return transformers.NllbMoeModel(config)


_MARKS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
_KINDS = {
    "whisper": whisper,
    "clip": clip,
    "vit": vit,
    "trocr": trocr,
    "nllb-moe": nllb_moe,
}


@pytest.mark.parametrize("kind", _KINDS)
def test_what_models_says_show_does(run: Run, kind: str, tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / kind, _KINDS[kind]())
    said = run("models", folder)
    assert said.code == 0
    target = ["--target", "the loan"] if kind == "nllb-moe" else []
    shown = run("show", "the bank", "--no-check", "-m", folder, *target)
    assert shown.code == (4 if kind in ("whisper", "vit") else 0)
    assert said.lines[0].split(" · ")[1:] == [
        kind,
        shown.lines[0].split(" · ")[1].partition(":")[0] if shown.out else "not at all",
    ]
    assert "Did you mean" not in said.out + shown.err
    assert "Traceback" not in shown.err


def test_a_model_without_weights_is_refused_alike(run: Run, tmp_path: Path) -> None:
    config = transformers.MambaConfig(vocab_size=95, hidden_size=16, num_hidden_layers=1, state_size=4)
    folder = tiny.save(tmp_path / "model", transformers.MambaForCausalLM(config))
    why = "mamba has a recurrent state in place of attention: there are no attention weights to show"
    said = run("models", folder)
    assert (said.code, said.lines[0]) == (0, "model · mamba · not at all")
    assert f"{why}." in " ".join(said.out.split())
    for command in (["show", "the bank"], ["check", "the bank"], ["ablate", "the bank"]):
        result = run(*command, "-m", folder)
        assert (result.code, result.out) == (4, "")
        assert result.said.startswith(f"error: model: {why}")


@pytest.mark.parametrize(("kind", "reads"), [("vit", "pictures"), ("whisper", "sound")])
def test_what_reads_no_text_is_refused_alike(run: Run, kind: str, reads: str, tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / kind, _KINDS[kind]())
    why = f"{kind} reads {reads}, not text: there are no words that attention can be shown between"
    said = run("models", folder)
    assert (said.code, said.lines[0]) == (0, f"{kind} · {kind} · not at all")
    assert f"{why}." in " ".join(said.out.split())
    for command in (["show", "the bank"], ["check", "the bank"], ["cost", "the bank"]):
        result = run(*command, "-m", folder)
        assert (result.code, result.out) == (4, "")
        assert f"error: {kind}: {why}" in result.said


def test_the_layers_of_a_hybrid_that_have_no_attention_are_said(run: Run, tmp_path: Path) -> None:
    sizes = {"vocab_size": 95, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 4, "head_dim": 8}
    sizes |= {
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "linear_num_key_heads": 1,
        "linear_num_value_heads": 1,
    }
    config = transformers.Qwen3_5TextConfig(**sizes, linear_key_head_dim=8, linear_value_head_dim=8, **_MARKS)
    folder = tiny.save(tmp_path / "model", transformers.Qwen3_5ForCausalLM(config))
    why = "layers 0–2 (delta rule) have no attention: the others are shown alone"
    said = facts(run("models", folder))
    assert said["heads"] == "2 of size 8, 1 key-value head in layer 3"
    assert said["no attention"].startswith("gated delta rule, 1 state of 8 × 8")
    shown = run("show", "the bank", "--no-check", "-m", folder)
    assert why in shown.said
    assert shown.lines[0].split(" · ")[2] == "1 layer × 2 heads"
    assert "\nL3 " in shown.out
    wrong = run("show", "the bank", "--no-check", "-m", folder, "--layer", "1")
    assert (wrong.code, wrong.out) == (2, "")
    assert "attention in layer 3" in wrong.said


@pytest.mark.parametrize("model", ["CLIPModel", "SiglipModel"])
def test_the_text_model_beside_one_of_pictures_is_checked_by_itself(run: Run, model: str, tmp_path: Path) -> None:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    texts = sizes | {"vocab_size": 95, "max_position_embeddings": 32, **_MARKS}
    kind = getattr(transformers, model)
    whole = kind(kind.config_class(text_config=texts, vision_config=sizes | {"image_size": 16, "patch_size": 8}))
    folder = tiny.save(tmp_path / "model", whole)
    assert facts(run("models", folder))["part"].startswith("the text model, ")
    result = run("check", "the bank approved the loan", "-m", folder)
    assert result.code == 0
    assert "2 heads agree with transformers" in result.out
    inside = run("check", "the bank approved the loan", "-m", tiny.save(tmp_path / "text", whole.text_model))
    assert inside.code == 0


@pytest.mark.parametrize("command", [["models"], ["show", "the bank", "--no-check", "-m"]])
def test_a_shape_that_transformers_refuses_is_seen_by_models(
    run: Run, command: list[str], tiny_hosted: Path, tmp_path: Path
) -> None:
    name = "model.layers.1.self_attn.q_proj.weight"
    folder = without(tiny_hosted, tmp_path / "model", lambda tensors: tensors.update({name: torch.ones(32, 16)}))
    result = run(*command, folder)
    assert (result.code, result.out) == (4, "")
    assert "Traceback" not in result.err
    assert "q_proj" in result.said


@pytest.mark.parametrize("command", [["models"], ["show", "the bank", "--no-check", "--target", "the loan", "-m"]])
def test_a_decoder_that_no_config_says_the_beginning_of_is_refused(
    run: Run, command: list[str], tmp_path: Path
) -> None:
    folder = tiny.save(tmp_path / "model", nllb_moe())
    changed_config = json.loads((folder / "config.json").read_text()) | dict.fromkeys(
        ("decoder_start_token_id", "bos_token_id")
    )
    (folder / "config.json").write_text(json.dumps(changed_config))
    (folder / "generation_config.json").unlink(missing_ok=True)
    result = run(*command, folder)
    assert (result.code, result.out) == (4, "")
    assert "no config says which token its decoder begins with" in result.said
