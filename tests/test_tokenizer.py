"""Token ids equal those of transformers' own tokenizer, whatever settings are beside tokenizer.json."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from attnviz.checkpoint import folder as checkpoint
from attnviz.encoding import encode
from attnviz.errors import ModelError
from tests.vocabularies import KINDS


def _added(content: str, *, special: bool = True) -> dict[str, Any]:
    flags = dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word"), False)
    return {"content": content, "special": special, **flags}


TEXTS = [
    "The bank approved (hello) the banks' don't",
    "  two  spaces\n\n\tTab é e\u0301 日本 👍🏽 สวัสดี مرحبا",
    "hello <|im_start|>user hi<|im_end|> <s> a </s> <s>b <unk> [SEP] [MASK]<|eot_id|> <mask>",
    "<pad>a <bos>b<eos> <think>c <|vision|> d",
]
_END = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
SETTINGS: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "BERT": ("bert", "bert", {"tokenizer_class": "BertTokenizer", "do_lower_case": True}),
    "BERT, cased by its settings": ("bert", "bert", {"tokenizer_class": "BertTokenizer", "do_lower_case": False}),
    "BERT, accents kept": ("bert", "bert", {"tokenizer_class": "BertTokenizerFast", "strip_accents": False}),
    "BERT without settings": ("bert", "bert", None),
    "GPT-2": ("gpt2", "gpt2", {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, **_END}),
    "GPT-2 without settings": ("gpt2", "gpt2", None),
    "GPT-2, a space first": ("gpt2", "gpt2", {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True}),
    "GPT-2, BOS asked for": ("gpt2", "gpt2", {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, **_END}),
    "a BOS that tokenizer.json lacks": ("gpt2", "gpt2", {"tokenizer_class": "GPT2Tokenizer", "bos_token": "<bos>"}),
    "OPT": ("gpt2", "opt", {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, **_END}),
    "RoBERTa": ("roberta", "roberta", {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": False}),
    "RoBERTa, a space first": ("roberta", "roberta", {"add_prefix_space": True}),
    "BART": ("roberta", "bart", {"tokenizer_class": "BartTokenizer"}),
    "Llama 3": ("llama3", "llama", {"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": True}),
    "Llama 3, called a Llama 2": ("llama3", "llama", {"tokenizer_class": "LlamaTokenizerFast"}),
    "Llama 3 without settings": ("llama3", "llama", None),
    "Qwen 2": ("qwen2", "qwen2", {"tokenizer_class": "Qwen2Tokenizer", "add_bos_token": False, "bos_token": None}),
    "more tokens in the settings": (
        "qwen2",
        "qwen2",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "added_tokens_decoder": {
                **{
                    str(i): _added(content) for i, content in enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
                },
                "500": _added("<think>", special=False),
            },
            "additional_special_tokens": ["<|vision|>"],
        },
    ),
    "special tokens as text": (
        "llama3",
        "llama",
        {"tokenizer_class": "TokenizersBackend", "split_special_tokens": True},
    ),
    "Llama 2": ("llama2_prepend", "llama", {"tokenizer_class": "LlamaTokenizer", "legacy": False}),
    "Llama 2, legacy": ("llama2_prepend", "llama", {"tokenizer_class": "LlamaTokenizer", "legacy": True}),
    "Llama 2, with EOS asked for": (
        "llama2_prepend",
        "llama",
        {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": True},
    ),
    "Llama 2, no space first": (
        "llama2_prepend",
        "llama",
        {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": False},
    ),
    "Llama 2 without settings": ("llama2_prepend", "llama", None),
    "Llama 2 as transformers 5 saves it": ("llama2", "llama", {"tokenizer_class": "LlamaTokenizer"}),
    "Mistral": ("llama2_prepend", "mistral", {"tokenizer_class": "LlamaTokenizer"}),
    "Gemma": ("gemma", "gemma2", {"tokenizer_class": "GemmaTokenizer", "add_bos_token": True}),
    "Gemma, no BOS asked for": ("gemma", "gemma2", {"tokenizer_class": "GemmaTokenizer", "add_bos_token": False}),
    "T5": ("t5", "t5", {"tokenizer_class": "T5Tokenizer", "extra_ids": 0}),
    "XLM-R": ("xlm_roberta", "xlm-roberta", {"tokenizer_class": "XLMRobertaTokenizer"}),
    "XLM-R without settings": ("xlm_roberta", "xlm-roberta", None),
}


def opened(folder: Path) -> Tokenizer:
    """Return our tokenizer of ``folder``, which is otherwise a complete model."""
    config = json.loads(folder.joinpath("config.json").read_text())
    return checkpoint.open_tokenizer(folder, config)


def fill(folder: Path, model_type: str, settings: dict[str, Any] | None) -> None:
    folder.joinpath("config.json").write_text(json.dumps({"model_type": model_type}))
    if settings is not None:
        folder.joinpath("tokenizer_config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize("case", SETTINGS)
def test_against_transformers(case: str, tmp_path: Path) -> None:
    kind, model_type, settings = SETTINGS[case]
    fill(tmp_path, model_type, settings)
    KINDS[kind]().save(str(tmp_path / "tokenizer.json"))
    ours, theirs = opened(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        assert list(encode(ours, text).ids) == theirs(text)["input_ids"]
        bare = theirs(text, add_special_tokens=False)["input_ids"]
        assert list(encode(ours, text, marks=False).ids) == bare


@pytest.mark.parametrize("add_bos_token", [True, False])
def test_opt_has_a_vocabulary_and_merges_only(add_bos_token: bool, tmp_path: Path) -> None:
    fill(tmp_path, "opt", {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": add_bos_token, **_END})
    KINDS["gpt2"]().model.save(str(tmp_path))
    ours, theirs = opened(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        assert list(encode(ours, text).ids) == theirs(text)["input_ids"]
    encoding = encode(ours, "the bank")
    assert encoding.special == ((True, False, False) if add_bos_token else (False, False))


def test_a_special_tokens_map_names_tokens_too(tmp_path: Path) -> None:
    fill(tmp_path, "qwen2", {"tokenizer_class": "PreTrainedTokenizerFast"})
    tmp_path.joinpath("special_tokens_map.json").write_text('{"additional_special_tokens": ["<|vision|>"]}')
    KINDS["qwen2"]().save(str(tmp_path / "tokenizer.json"))
    ours, theirs = opened(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert list(encode(ours, TEXTS[-1]).ids) == theirs(TEXTS[-1])["input_ids"]


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "null", '{"added_tokens_decoder": {"x": {}}}', '{"added_tokens_decoder": {"3": 4}}',
     '{"tokenizer_class": 3}', '{"extra_special_tokens": 5}', '{"added_tokens_decoder": {"3": {}}}',
     '{"added_tokens_decoder": [1]}', '{"extra_special_tokens": [null]}'],
)  # fmt: skip
def test_settings_that_are_damaged_are_named(content: str, tmp_path: Path) -> None:
    fill(tmp_path, "gpt2", None)
    KINDS["gpt2"]().save(str(tmp_path / "tokenizer.json"))
    tmp_path.joinpath("tokenizer_config.json").write_text(content)
    with pytest.raises(ModelError, match=r"tokenizer_config\.json"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("content", "packages"),
    [(b"\n\x0e\n\x05<unk>", ["sentencepiece", "protobuf"]), (b"IQ== 0\nIg== 1\n", ["tiktoken"])],
)
def test_what_a_vocabulary_needs_to_be_read_is_said(
    content: bytes, packages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(folder: Path) -> None:
        raise ModelError(f"transformers can't load {folder}")

    monkeypatch.setattr(checkpoint, "load_transformers_tokenizer", fails)
    monkeypatch.setattr(checkpoint, "_is_installed", lambda package: package not in packages)
    fill(tmp_path, "llama", None)
    tmp_path.joinpath("tokenizer.model").write_bytes(content)
    with pytest.raises(ModelError, match=f"can't be read without {' and '.join(packages)}") as caught:
        opened(tmp_path)
    assert f"pip install {' '.join(packages)}" in caught.value.hint
    monkeypatch.setattr(checkpoint, "_is_installed", lambda _: True)
    with pytest.raises(ModelError, match="transformers can't load"):
        opened(tmp_path)


def test_a_vocabulary_that_no_package_reads_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "llama", {"tokenizer_class": "LlamaTokenizer"})
    tmp_path.joinpath("tokenizer.model").write_bytes(b"garbage")
    with pytest.raises(ModelError, match=r"tokenizer\.model|can't load"):
        opened(tmp_path)
    assert not checkpoint._is_installed("no-such-package")


def test_many_tokens_in_the_settings_are_added_at_once(tmp_path: Path) -> None:
    """Added one by one, 5,000 take a minute, and 20,000 a quarter of an hour."""
    names = [f"<extra{number}>" for number in range(5000)]
    fill(tmp_path, "qwen2", {"extra_special_tokens": names, "mask_token": "<extra7>"})
    KINDS["qwen2"]().save(str(tmp_path / "tokenizer.json"))
    start = time.monotonic()
    ours = opened(tmp_path)
    assert time.monotonic() - start < 10
    encoding = encode(ours, "the <extra7> <extra4999>")
    assert (encoding.tokens[-3], encoding.special[-3], encoding.special[-1]) == ("<extra7>", False, True)
