"""Tiny random models, made by transformers from a config and saved: the tests need no network."""

from __future__ import annotations

import atexit
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    Dots1Config,
    Dots1ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_WORDS = ["the", "bank", "approved", "loan", "because", "company", "had", "strong", "financial", "river", "of", "it"]
VOCABULARY = [*SPECIALS, *".,!?'-", *_LETTERS, *(f"##{letter}" for letter in _LETTERS), *_WORDS]
SENTENCE = "The bank approved the loan because the company had strong financials."


def wordpiece() -> Tokenizer:
    """Return BERT's tokenizer over a small vocabulary that contains all lower-case Latin letters."""
    tokenizer = Tokenizer(
        models.WordPiece(
            {token: i for i, token in enumerate(VOCABULARY)}, unk_token="[UNK]", max_input_chars_per_word=100
        )
    )
    tokenizer.add_special_tokens(SPECIALS)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def randomise(model: torch.nn.Module, seed: int = 0, scale: float = 0.4) -> None:
    """Give every parameter a value that matters: attention far from uniform, no norm weight one, no bias zero."""
    generator = torch.Generator().manual_seed(seed)
    body = f"{getattr(model, 'base_model_prefix', '')}."  # a model may be named after its norms
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            one = 1.0 if "norm" in name.removeprefix(body).lower() and name.endswith("weight") else 0.0
            parameter.copy_(one + scale * noise)


Saver = Callable[..., Path]


@cache
def _made() -> Path:
    """The folder of the models that were made, which goes when the process ends."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def made_once(save: Saver) -> Saver:
    """``save(folder, **config)``, which makes a model and saves it, makes each model once: later calls copy its files.

    A copy takes two milliseconds; to make and save a model takes thirty times as long.
    """

    @wraps(save)
    def copied(folder: Path, *given: Any, **config: Any) -> Path:
        name = repr((save.__module__, save.__qualname__, given, sorted(config.items()), torch.get_default_dtype()))
        kept = _made() / hashlib.sha256(name.encode()).hexdigest()
        if not kept.exists():
            with tempfile.TemporaryDirectory(dir=_made()) as place:
                save(Path(place, "model"), *given, **config).rename(kept)
        shutil.copytree(kept, folder, copy_function=shutil.copy, dirs_exist_ok=True)
        return folder

    return copied


@made_once
def bert(folder: Path, *, seed: int = 0, save: dict[str, Any] | None = None, **config: Any) -> Path:
    """Save a random BERT in ``folder`` and return that; ``save`` goes to ``save_pretrained``."""
    shape = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
    }
    model = BertModel(BertConfig(**(shape | config))).eval()
    randomise(model, seed)
    model.save_pretrained(folder, **(save or {}))
    wordpiece().save(str(folder / "tokenizer.json"))
    return folder


@made_once
def telling_bert(folder: Path, *, seed: int = 0, **config: Any) -> Path:
    """Save a BERT as ``bert``, but with attention between uniform and one-hot in every layer, whatever the shape.

    With post-norms, large additions make tokens alike from layer to layer, so they are small here.
    """
    shape = BertConfig.from_pretrained(bert(folder, seed=seed, **config))
    model = BertModel(shape).eval()
    randomise(model, seed, scale=shape.hidden_size**-0.5)
    with torch.no_grad():
        for layer in model.encoder.layer:
            layer.attention.self.query.weight *= 3
    model.save_pretrained(folder)
    return folder


def save(folder: Path, model: Any, *, seed: int = 0, scale: float = 0.3) -> Path:
    """Save the transformers ``model`` with random parameters and the small tokenizer."""
    randomise(model, seed, scale)
    model.eval().save_pretrained(folder)
    wordpiece().save(str(folder / "tokenizer.json"))
    return folder


DECODER = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}


@made_once
def llama(folder: Path, **config: Any) -> Path:
    """Save a random Llama in ``folder``: it is run natively."""
    return save(folder, LlamaForCausalLM(LlamaConfig(**(DECODER | config))))


@made_once
def mistral(folder: Path, **config: Any) -> Path:
    """Save a random Mistral in ``folder``: its attention has a window."""
    return save(folder, MistralForCausalLM(MistralConfig(**(DECODER | config))))


EXPERTS = {
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "first_k_dense_replace": 1,
    "sliding_window": None,
    "max_window_layers": 0,
}
"""What a Dots1 has beside ``DECODER``. No family file is of its type, so that it is hosted."""


@made_once
def hosted(folder: Path, **config: Any) -> Path:
    """Save a random Dots1 in ``folder``: it is hosted."""
    return save(folder, Dots1ForCausalLM(Dots1Config(**(DECODER | EXPERTS | config))))


@made_once
def t5(folder: Path, **config: Any) -> Path:
    """Save a random T5 in ``folder``, with 3 layers of 4 heads in the encoder and 2 in the decoder."""
    shape = {
        "vocab_size": len(VOCABULARY),
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 48,
        "num_layers": 3,
        "num_decoder_layers": 2,
        "num_heads": 4,
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 3,
    }
    return save(folder, T5ForConditionalGeneration(T5Config(**(shape | config))), scale=0.25)


def to_pickle(folder: Path, change: Callable[[dict[str, Any]], object] = bool) -> Path:
    """Replace the safetensors by the pickle that older versions saved, and the config by one without a dtype."""
    config = json.loads(folder.joinpath("config.json").read_text())
    del config["dtype"]
    folder.joinpath("config.json").write_text(json.dumps(config))
    state: dict[str, Any] = dict(load_file(folder / "model.safetensors"))
    folder.joinpath("model.safetensors").unlink()
    change(state)
    torch.save(state, folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


class Hostile:
    """A part of a pickle that touches ``path`` when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)
