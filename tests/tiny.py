"""Tiny random models, made by transformers from a config and saved: what the tests run without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_WORDS = ["the", "bank", "approved", "loan", "because", "company", "had", "strong", "financial", "river", "of", "it"]
VOCABULARY = [*SPECIALS, *".,!?'-", *_LETTERS, *(f"##{letter}" for letter in _LETTERS), *_WORDS]
SENTENCE = "The bank approved the loan because the company had strong financials."


def wordpiece() -> Tokenizer:
    """BERT's tokenizer over a small vocabulary: any lower-case Latin word is known, by its letters at worst."""
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
    """Give every parameter values that matter: attention far from uniform, no norm weight one, no bias zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            one = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
            parameter.copy_(one + scale * noise)


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
