"""Small tokenizers of every kind, trained here: words depend on how a kind splits and marks its pieces."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

TEXTS = [
    "The bank approved the loan because the company had strong financials. The river bank flooded again, they said.",
    "They don't know; it's 3.14 (or so) and \"quoted\" — hello, world! (hello) [world] {bank} <loan>",
    "def bank(loan=1):\n    return loan.append(x) + self._cache['key']\n\n\n# done\tnow",
    "Der Fluß war über die Ufer getreten. Le café était fermé. El niño comió.",
    "日本語のテキストです。東京は日本の首都です。",
    "你好,世界!银行批准了贷款。",
    "สวัสดีครับ ภาษาไทยไม่มีช่องว่าง",
    "مرحبا بالعالم، هذا نص عربي.",
    "नमस्ते दुनिया, यह हिन्दी है।",
    "👩‍👩‍👧 👍🏽 😀 🇩🇪🇫🇷",
] * 4
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace("{1,3}", "")
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def _byte_level(pattern: str, *, specials: list[str], size: int = 500, trim: bool = False) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def with_normalizer(tokenizer: Tokenizer, normalizer: Any) -> Tokenizer:
    """A copy of ``tokenizer`` with ``normalizer`` before its own."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.normalizer = normalizers.Sequence([normalizer, *([copy.normalizer] if copy.normalizer else [])])
    return copy


def _template(tokenizer: Tokenizer, single: str, *marks: str) -> Tokenizer:
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[(mark, tokenizer.token_to_id(mark)) for mark in marks]
    )
    return tokenizer


def gpt2() -> Tokenizer:
    tokenizer = _byte_level(_GPT2, specials=["<|endoftext|>"])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def roberta() -> Tokenizer:
    tokenizer = _byte_level(_GPT2, specials=["<s>", "<pad>", "</s>", "<unk>"], trim=True)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    ids = [(mark, tokenizer.token_to_id(mark)) for mark in ("</s>", "<s>")]
    tokenizer.post_processor = processors.RobertaProcessing(*ids, trim_offsets=True, add_prefix_space=False)
    return tokenizer


def llama3() -> Tokenizer:
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = _byte_level(_LLAMA3, specials=specials)
    _template(tokenizer, "<|begin_of_text|> $A", "<|begin_of_text|>")
    template = tokenizer.post_processor
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return tokenizer


def qwen2() -> Tokenizer:
    tokenizer = _byte_level(_QWEN2, specials=["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def _sentencepiece_bpe(specials: list[str], size: int = 700) -> Tokenizer:
    """Return a BPE with byte fallback whose pieces do not cross words, without normalizer and pre-tokenizer."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[*specials, *_BYTES], show_progress=False, limit_alphabet=90
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    content = json.loads(tokenizer.to_str())  # where bytes are pieces like others, no marks
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] not in _BYTES]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def llama2() -> Tokenizer:
    """Llama 2 as transformers 5 builds it: `Metaspace` before the first word only."""
    tokenizer = _sentencepiece_bpe(["<unk>", "<s>", "</s>"])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return _template(tokenizer, "<s> $A", "<s>")


def llama2_prepend() -> Tokenizer:
    """Llama 2 as its repository's tokenizer.json has it: a normalizer prepends and replaces."""
    tokenizer = _sentencepiece_bpe(["<unk>", "<s>", "</s>"])
    tokenizer.pre_tokenizer = None
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return _template(tokenizer, "<s> $A", "<s>")


def gemma() -> Tokenizer:
    tokenizer = _sentencepiece_bpe(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"])
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return _template(tokenizer, "<bos> $A", "<bos>")


def _unigram(specials: list[str], unknown: str) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    scheme: dict[str, Any] = {"prepend_scheme": "always"}
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**scheme)]
    )
    trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=specials, unk_token=unknown, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.decoder = decoders.Metaspace(**scheme)
    return tokenizer


def t5() -> Tokenizer:
    return _template(_unigram(["<pad>", "</s>", "<unk>"], "<unk>"), "$A </s>", "</s>")


def xlm_roberta() -> Tokenizer:
    return _template(_unigram(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<unk>"), "<s> $A </s>", "<s>", "</s>")


def bert() -> Tokenizer:
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=500, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.decoder = decoders.WordPiece()
    return _template(tokenizer, "[CLS] $A [SEP]", "[CLS]", "[SEP]")


KINDS: dict[str, Callable[[], Tokenizer]] = {
    make.__name__: cache(make)
    for make in (bert, gpt2, roberta, llama3, qwen2, llama2, llama2_prepend, gemma, t5, xlm_roberta)
}
