"""Build a tokenizer from the vocabulary in a GGUF file's settings.

There are byte-level merges (``gpt2``), SentencePiece's merges by score (``llama``), its likeliest pieces (``t5``), and
WordPiece (``bert``). What the file leaves to its readers is taken from llama.cpp: the rule by which a text is split is
named, not written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attnviz.encoding import declare_mask
from attnviz.errors import ModelError, UnsupportedModel, short

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CONTROL, _DEFINED = 3, 4
"""GGUF's numbers of the types of tokens that stand for no text, and of those that are cut out of a text first."""
_SPACE = "\u2581"
"""How SentencePiece writes a space."""

_SPLIT_AS_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CONTRACTED = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_WORDS_BY_CASE = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+ENDING"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*ENDING"
)
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLIT_AS_GPT4O = _WORDS_BY_CASE.replace("ENDING", _CONTRACTED) + r"|\p{N}{1,3}" + _REST
_SPLIT_AS_TEKKEN = _WORDS_BY_CASE.replace("ENDING", "") + r"|\p{N}" + _REST
_SPLIT_AS_DEEPSEEK3 = (
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)
_SPLITS: Mapping[str, str | tuple[str, ...]] = {
    **dict.fromkeys(("gpt-2", "mpt", "olmo", "phi-2", "jais", "trillion", "exaone4"), ""),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"), "digits"),
    **dict.fromkeys(
        ("llama-bpe", "llama3", "llama-v3", "smaug-bpe", "dbrx", "falcon3", "chatglm-bpe", "glm4"), _SPLIT_AS_LLAMA3
    ),
    **dict.fromkeys(
        ("qwen2", "stablelm2", "deepseek-r1-qwen", "hunyuan", "megrez"), _SPLIT_AS_LLAMA3.replace("{1,3}", "")
    ),
    **dict.fromkeys(("gpt-4o", "llama4"), _SPLIT_AS_GPT4O),
    **dict.fromkeys(("deepseek-v3", "hunyuan-dense", "joyai-llm"), _SPLIT_AS_DEEPSEEK3),
    "tekken": _SPLIT_AS_TEKKEN,
}  # fmt: skip
"""The rules by which byte-level tokenizers split a text: GPT-2's, the same after single digits, or patterns, one after
the other.
"""
_WITH_BEGINNING = ("llama-bpe", "llama3", "llama-v3")
"""The rules of models whose texts begin with a token even if the file does not say so."""
_PREPENDED = ("phi3",)
"""The architectures that put a space before each part of a text between special tokens."""

Settings = Mapping[str, Any]


def build_tokenizer(settings: Settings) -> Tokenizer:
    """Build the tokenizer that the ``settings`` of a GGUF file describe.

    Raises:
        UnsupportedModel: it is of a kind that is not read here; the message names it.
        ModelError: its vocabulary is damaged.
    """
    kind = settings.get("tokenizer.ggml.model")
    builders = {"gpt2": _byte_level, "llama": _sentencepiece, "t5": _unigram, "bert": _wordpiece}
    if kind not in builders:
        raise UnsupportedModel(f"its tokenizer is {short(kind)}; read here are {', '.join(builders)}")
    try:
        tokens = list(settings["tokenizer.ggml.tokens"])
        made = builders[kind](settings, tokens)
        _mark(made, settings, tokens)
    except UnsupportedModel:
        raise
    except Exception as error:  # tokenizers raises no other type
        raise ModelError(f"its vocabulary can't be read ({error})", hint="Download it again.") from None
    return made


def adds_beginning(settings: Settings) -> bool:
    """Whether a text begins with a token of its own."""
    said = settings.get("tokenizer.ggml.add_bos_token")
    kind, split = (settings.get(f"tokenizer.ggml.{name}") for name in ("model", "pre"))
    return kind == "llama" or split in _WITH_BEGINNING if said is None else bool(said)


def _byte_level(settings: Settings, tokens: list[str]) -> Tokenizer:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    name = settings.get("tokenizer.ggml.pre")
    if not isinstance(name, str) or name not in _SPLITS:
        raise UnsupportedModel(f"its tokenizer splits by {short(name)}, which is not known here")
    split = _SPLITS[name]
    pairs = [(left, right) for left, _, right in (each.partition(" ") for each in settings["tokenizer.ggml.merges"])]
    made = Tokenizer(models.BPE(_numbered(tokens), pairs, ignore_merges=name in _WITH_BEGINNING))
    levels = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split in ("", "digits"))
    if split == "digits":
        made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), levels])
    elif split:
        patterns = (split,) if isinstance(split, str) else split
        cuts = [pre_tokenizers.Split(Regex(each), behavior="isolated") for each in patterns]
        made.pre_tokenizer = pre_tokenizers.Sequence([*cuts, levels])
    else:
        made.pre_tokenizer = levels
    made.decoder = decoders.ByteLevel()
    return made


def _sentencepiece(settings: Settings, tokens: list[str]) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    architecture, unknown = (
        settings.get("general.architecture"),
        settings.get("tokenizer.ggml.unknown_token_id"),
    )
    gemma = str(architecture).startswith("gemma")
    # Gemma's files write runs of spaces as they are, and its scores do not follow the order of its merges.
    tokens[:] = [_SPACE * len(each) if len(each) > 1 and not each.strip(" ") else each for each in tokens]
    scores = range(0, -len(tokens), -1) if gemma else settings["tokenizer.ggml.scores"]
    model = models.BPE(
        _numbered(tokens),
        _merges(tokens, scores),
        unk_token=None if unknown is None else tokens[unknown],
        fuse_unk=True,
        byte_fallback=True,
    )
    made = Tokenizer(model)
    if architecture in _PREPENDED:
        made.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), normalizers.Replace(" ", _SPACE)])
    else:
        first = settings.get("tokenizer.ggml.add_space_prefix", not gemma)
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first" if first else "never", split=False)
    made.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    return made


def _unigram(settings: Settings, tokens: list[str]) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    if settings.get("general.architecture") != "t5":
        raise UnsupportedModel("its tokenizer is 't5', which is known here of T5 alone")
    pieces = list(zip(tokens, map(float, settings["tokenizer.ggml.scores"]), strict=True))
    made = Tokenizer(models.Unigram(pieces, unk_id=settings.get("tokenizer.ggml.unknown_token_id", 2)))
    charsmap = settings.get("tokenizer.ggml.precompiled_charsmap")
    if charsmap:
        made.normalizer = normalizers.Precompiled(bytes(each & 255 for each in charsmap))
    spaces = pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always")
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), spaces])
    made.decoder = decoders.Metaspace(replacement=_SPACE, prepend_scheme="always")
    return made


def _wordpiece(settings: Settings, tokens: list[str]) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    marks = _of_type(settings, tokens, _CONTROL)
    # The file has a space before what begins a word; BERT writes ## before what does not.
    tokens[:] = [each if each in marks else each[1:] if each.startswith(_SPACE) else f"##{each}" for each in tokens]
    upper = any(letter.isupper() for each in tokens if each not in marks for letter in each)
    unknown = tokens[settings.get("tokenizer.ggml.unknown_token_id", tokens.index("[UNK]"))]
    made = Tokenizer(models.WordPiece(_numbered(tokens), unk_token=unknown))
    made.normalizer = normalizers.BertNormalizer(lowercase=not upper)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    return made


def _mark(made: Tokenizer, settings: Settings, tokens: Sequence[str]) -> None:
    """Declare the tokens that are cut out of a text first, and add those around a text."""
    from tokenizers import AddedToken
    from tokenizers.processors import TemplateProcessing

    known = made.get_vocab(with_added_tokens=False)
    for kind, special in ((_CONTROL, True), (_DEFINED, False)):
        named = [each for each in _of_type(settings, tokens, kind) if each in known]
        made.add_tokens([AddedToken(each, normalized=False, special=special) for each in named])
    declare_mask(made, _named(settings, tokens, "mask") or ("[MASK]" if "[MASK]" in known else None))
    bert = settings["tokenizer.ggml.model"] == "bert"
    before: str | None
    after: str | None
    if bert:
        before = _named(settings, tokens, "cls") or _named(settings, tokens, "bos") or "[CLS]"
        after = _named(settings, tokens, "seperator") or _named(settings, tokens, "eos") or "[SEP]"
    else:
        before = _named(settings, tokens, "bos") if adds_beginning(settings) else None
        ends = settings.get("tokenizer.ggml.add_eos_token", settings["tokenizer.ggml.model"] == "t5")
        after = _named(settings, tokens, "eos") if ends else None
    first = [each for each in (before, "$A", after) if each]
    second = [f"{each}:1" for each in (None if bert else before, "$B", after) if each]
    made.post_processor = TemplateProcessing(
        single=first, pair=[*first, *second], special_tokens=[(each, known[each]) for each in {before, after} if each]
    )


def _of_type(settings: Settings, tokens: Sequence[str], kind: int) -> dict[str, None]:
    types = settings.get("tokenizer.ggml.token_type") or ()
    return dict.fromkeys(token for token, its in zip(tokens, types, strict=False) if its == kind)


def _named(settings: Settings, tokens: Sequence[str], name: str) -> str | None:
    """Return the token that a setting names by its number; GGUF spells the separator ``seperator``."""
    number = settings.get(f"tokenizer.ggml.{name}_token_id")
    return tokens[number] if isinstance(number, int) and number < len(tokens) else None


def _numbered(tokens: Sequence[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}


def _merges(tokens: Sequence[str], scores: Sequence[float]) -> list[tuple[str, str]]:
    """Return the pairs of pieces that make a piece, those of the best piece first."""
    numbers = _numbered(tokens)
    found = []
    for piece, score in zip(tokens, scores, strict=True):
        cuts = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
        pairs = [(left, right) for left, right in cuts if left in numbers and right in numbers]
        pairs.sort(key=lambda pair: (numbers[pair[0]], numbers[pair[1]]))
        found += [(score, len(left), len(right), left, right) for left, right in pairs]
    found.sort(key=lambda each: each[:3], reverse=True)
    return [each[3:] for each in found]
