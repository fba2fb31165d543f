"""Tiny translation models, with tokenizers that transformers' own classes make and save."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tests import tiny

SOURCE, TARGET = "The house is near the river.", "La maison est proche."
_TEXTS = [SOURCE, TARGET, "The river is wonderful.", "La riviere est magnifique."] * 10
_MARKS = ["<s>", "<pad>", "</s>", "<unk>"]
_SHAPE = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 64,
    "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
CODES = ["eng_Latn", "fra_Latn", "deu_Latn"]


def nllb(folder: Path, **settings: Any) -> Path:
    """An M2M-100 with NLLB's tokenizer of three languages: a text begins with its language."""
    vocabulary, merges = _bpe()
    settings = {"src_lang": "eng_Latn", "tgt_lang": "fra_Latn", "additional_special_tokens": CODES} | settings
    tokenizer = transformers.NllbTokenizer(vocab=vocabulary, merges=merges, **settings)
    return _save(folder, tokenizer, transformers.M2M100Config, decoder_start_token_id=2)


def mbart(folder: Path, **settings: Any) -> Path:
    """An mBART: a text ends with its language, which a decoder begins with."""
    settings = {"src_lang": "en_XX", "tgt_lang": "ro_RO"} | settings
    tokenizer = transformers.MBartTokenizer(vocab=_unigram(), **settings)
    return _save(folder, tokenizer, transformers.MBartConfig)


def mbart50(folder: Path, **settings: Any) -> Path:
    """An mBART-50: a text begins with its language, a decoder's after the mark of its end."""
    settings = {"src_lang": "en_XX", "tgt_lang": "ro_RO"} | settings
    vocabulary = [*_unigram(), *((code, 0.0) for code in ("en_XX", "ro_RO", "de_DE"))]
    tokenizer = transformers.MBart50Tokenizer(vocab=vocabulary, **settings)
    return _save(folder, tokenizer, transformers.MBartConfig, decoder_start_token_id=2)


def _bpe() -> tuple[dict[str, int], list[tuple[str, str]]]:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=120, special_tokens=_MARKS, show_progress=False)
    tokenizer.train_from_iterator(_TEXTS, trainer)
    made = json.loads(tokenizer.to_str())["model"]
    return made["vocab"], [tuple(merge) for merge in made["merges"]]


def _unigram() -> list[tuple[str, float]]:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=100, special_tokens=_MARKS, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(_TEXTS, trainer)
    return [(piece, score) for piece, score in json.loads(tokenizer.to_str())["model"]["vocab"]]


def _save(folder: Path, tokenizer: Any, config: type, **more: Any) -> Path:
    tokenizer.save_pretrained(folder)
    shape = config(**(_SHAPE | {"vocab_size": len(tokenizer)} | more))
    model = transformers.AutoModelForSeq2SeqLM.from_config(shape)
    tiny.randomise(model, scale=0.3)
    model.eval().save_pretrained(folder)
    return folder


def m2m100(folder: Path, **settings: Any) -> Path:
    """An M2M-100, whose tokenizer is SentencePiece's, with ids of its own."""
    pieces = _sentencepiece(folder, "bpe")
    vocabulary = {mark: i for i, mark in enumerate(_MARKS)}
    # In another order than SentencePiece has them, as in the published one.
    vocabulary |= {piece: i for i, piece in enumerate(sorted(pieces), len(_MARKS))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    settings = {"src_lang": "en", "tgt_lang": "fr"} | settings
    tokenizer = transformers.M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "spm.model"), **settings)
    count = max(tokenizer.lang_code_to_id.values()) + 9
    return _save(folder, tokenizer, transformers.M2M100Config, decoder_start_token_id=2, vocab_size=count)


def plbart(folder: Path, **settings: Any) -> Path:
    """A PLBART, whose tokenizer is SentencePiece's; a text ends with its language, if it has one."""
    _sentencepiece(folder, "unigram")
    settings = {"language_codes": "base"} | settings
    tokenizer = transformers.PLBartTokenizer(str(folder / "spm.model"), **settings)
    return _save(folder, tokenizer, transformers.PLBartConfig)


def seamless(folder: Path) -> Path:
    """The text side of a SeamlessM4T, saved without the rest of it."""
    vocabulary, merges = _bpe()
    codes = ["__eng__", "__fra__", "__deu__"]
    settings: dict[str, Any] = {"src_lang": "eng", "tgt_lang": "fra", "additional_special_tokens": codes}
    tokenizer = transformers.SeamlessM4TTokenizer(vocab=vocabulary, merges=merges, **settings)
    speech = {"speech_encoder_layers": 1, "t2u_encoder_layers": 1, "t2u_decoder_layers": 1}
    return _save(folder, tokenizer, transformers.SeamlessM4TConfig, hidden_size=32, decoder_start_token_id=2, **speech)


def _sentencepiece(folder: Path, kind: str) -> list[str]:
    """Train a model of SentencePiece, and return its pieces without its marks."""
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_TEXTS), model_prefix=str(folder / "spm"), vocab_size=60, model_type=kind,
        minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    model = sentencepiece.SentencePieceProcessor(str(folder / "spm.model"))
    return [model.id_to_piece(i) for i in range(model.get_piece_size())][3:]
