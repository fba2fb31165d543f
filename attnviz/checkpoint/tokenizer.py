"""Read tokenizer.json as transformers does, with the settings of tokenizer_config.json applied.

The special tokens around a text are in tokenizer.json alone (transformers 5 ignores ``add_bos_token`` if that file
exists). So are the rules by which a text is split, except for transformers classes that build their own pipeline from
the settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnviz.encoding import declare_mask
from attnviz.errors import ModelError, short

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer

# These classes use the pipeline of tokenizer.json unchanged.
_GENERIC = {"PreTrainedTokenizer", "TokenizersBackend", "LlamaTokenizer"}
_BERT_SETTINGS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


def read_tokenizer(path: Path, settings: Mapping[str, Any], model_type: object) -> Tokenizer:
    """Read the tokenizer.json at ``path``, and apply the ``settings`` of the tokenizer_config.json beside it.

    Raises:
        ModelError: the file is not a tokenizer, or the settings are damaged.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the only type that tokenizers raises
        raise ModelError(f"{path} is not a tokenizer ({error})", hint="Download the model again.") from None
    try:
        _apply(tokenizer, settings, model_type)
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        raise ModelError(
            f"{path.parent / 'tokenizer_config.json'} is damaged ({error})", hint="Download the model again."
        ) from None
    return tokenizer


def _apply(tokenizer: Tokenizer, settings: Mapping[str, Any], model_type: object) -> None:
    name = (settings.get("tokenizer_class") or "").removesuffix("Fast")
    byte_levels = list(_byte_levels(tokenizer.pre_tokenizer))
    if name == "LlamaTokenizer" and model_type == "llama" and not byte_levels:
        _build_as_llama(tokenizer, settings)
    if name not in _GENERIC:
        for part in byte_levels:
            part.add_prefix_space = bool(settings.get("add_prefix_space", part.add_prefix_space))
        _normalize_as_bert(tokenizer, settings)
    _add_tokens(tokenizer, settings)
    tokenizer.encode_special_tokens = bool(settings.get("split_special_tokens", False))


def _build_as_llama(tokenizer: Tokenizer, settings: Mapping[str, Any]) -> None:
    """Add a space before the text only; tokenizer.json may add one after every special token too."""
    from tokenizers.pre_tokenizers import Metaspace

    prefix = settings.get("add_prefix_space")
    scheme = "never" if prefix is False else "always" if settings.get("legacy") else "first"
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = Metaspace(prepend_scheme=scheme, split=False)


def _byte_levels(part: Any) -> Iterator[Any]:
    """Yield the byte-level pre-tokenizers of ``part``: itself, or those of its sequence."""
    from tokenizers.pre_tokenizers import ByteLevel, Sequence

    if isinstance(part, ByteLevel):
        yield part
    elif isinstance(part, Sequence):
        for inner in iter(part):  # it is iterable, but has no length
            yield from _byte_levels(inner)


def _normalize_as_bert(tokenizer: Tokenizer, settings: Mapping[str, Any]) -> None:
    from tokenizers.normalizers import BertNormalizer

    if isinstance(tokenizer.normalizer, BertNormalizer):
        for setting, attribute in _BERT_SETTINGS.items():
            if setting in settings:
                setattr(tokenizer.normalizer, attribute, settings[setting])


def _add_tokens(tokenizer: Tokenizer, settings: Mapping[str, Any]) -> None:
    """Add the tokens that only the settings name; new ones get the ids after the vocabulary."""
    added = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    decoder = settings.get("added_tokens_decoder") or {}
    tokens = [_token(decoder[number]) for number in sorted(decoder, key=int)]
    named = [value for key, value in settings.items() if key.endswith("_token") and isinstance(value, str | dict)]
    more = settings.get("extra_special_tokens") or settings.get("additional_special_tokens") or []
    if not isinstance(more, list | dict):
        raise TypeError(f"the special tokens are {short(more)}, expected a list")
    tokens += [_token(value) for value in [*named, *(more.values() if isinstance(more, dict) else more)]]
    # In one call, since each call rebuilds the search for all added tokens.
    tokenizer.add_tokens([token for token in tokens if token.content not in added])
    mask = settings.get("mask_token")
    declare_mask(tokenizer, _token(mask).content if mask else None)


def _token(value: str | dict[str, Any]) -> AddedToken:
    from tokenizers import AddedToken

    if isinstance(value, str):
        return AddedToken(value, special=True, normalized=False)
    flags = {key: value[key] for key in ("lstrip", "rstrip", "normalized", "single_word") if key in value}
    return AddedToken(value["content"], special=value.get("special", True), **flags)
