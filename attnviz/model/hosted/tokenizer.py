"""Compare attnviz's token ids with those that transformers' own tokenizer makes of the same text."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import transformers

from attnviz.checkpoint import Checkpoint, quiet_transformers
from attnviz.checkpoint.folder import load_transformers_tokenizer, tokenizer_settings
from attnviz.checkpoint.gguf.header import read_header
from attnviz.checkpoint.gguf.tokenizer import adds_beginning
from attnviz.encoding import Encoding, EncodingSource
from attnviz.errors import AttnvizError
from attnviz.model.check.report import InputCheck
from attnviz.model.hosted.classes import model_class
from attnviz.model.hosted.formats import config_of
from attnviz.model.hosted.loaded import reads_types
from attnviz.model.hosted.loading import shift_function


@dataclass(frozen=True)
class TokenizerInput:
    """The ids and token types of an input; no types if the model reads none or the tokenizer makes none."""

    ids: tuple[int, ...]
    types: tuple[int, ...] | None = None


class TokenizerCheck:
    """Tokenize inputs again with transformers' tokenizer, which is opened at the first use and kept."""

    def __init__(self, checkpoint: Checkpoint, *, trust_remote_code: bool = False) -> None:
        self._checkpoint = checkpoint
        self._trust = trust_remote_code
        self._last: tuple[EncodingSource, TokenizerInput] | None = None

    def compare(self, encoding: Encoding, target: Encoding | None = None) -> InputCheck:
        """Compare ``encoding`` and a decoder's ``target`` with what transformers' tokenizer makes of the same texts."""
        parts = [("", encoding)] if target is None else [("of the encoder ", encoding), ("of the decoder ", target)]
        for whose, ours in parts:
            if ours.source is None:
                return InputCheck(reason="nothing says from which text the ids were made")
            try:
                differs = self._differs(whose, ours, ours.source)
            except Exception as error:  # a tokenizer that transformers can't load or run may raise any type
                return InputCheck(reason=f"transformers' tokenizer can't make them: {_line(error)}")
            if differs:
                return InputCheck(differs=differs)
        return InputCheck(reason=self._reason)

    def _differs(self, whose: str, ours: Encoding, source: EncodingSource) -> str:
        """Return the first difference, in words; empty if there is none."""
        try:
            differs = _difference(whose, ours, self.read(source), self.tokenizer)
        except Exception:
            if not self._guessed:
                raise
            differs = "everything"
        if differs and self._guessed:
            self._reason = (
                f"those of tokenizer.json, which transformers' {type(self.tokenizer).__name__} reads otherwise"
            )
            self.__dict__["tokenizer"], self._last = self._own(getattr(self.tokenizer, "chat_template", None)), None
            differs = _difference(whose, ours, self.read(source), self.tokenizer)
        return differs

    def read(self, source: EncodingSource) -> TokenizerInput:
        """Tokenize the text with transformers; a decoder's ids are shifted as its model shifts labels."""
        whole = replace(source, window=None)
        if self._last is None or self._last[0] != whole:
            with quiet_transformers():
                self._last = whole, self._target(whole) if source.target else self._source(whole)
        found = self._last[1]
        if source.window is None:
            return found
        lead, start, stop, tail = source.window
        parts = slice(lead), slice(start, stop), slice(len(found.ids) - tail, None)
        return TokenizerInput(_joined(found.ids, parts), found.types and _joined(found.types, parts))

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer that transformers loads, or a copy of the user's own, with the chosen languages."""
        chat = self._checkpoint.chat
        if not isinstance(chat, Path):
            made = copy.deepcopy(chat) if callable(chat) else _generic(tokenizer_object=chat)
            return self._with_languages(made)
        try:
            found = load_transformers_tokenizer(chat)
            if chat.is_file():  # a GGUF file may leave it to its readers, as llama.cpp does and transformers does not
                found.add_bos_token = adds_beginning(read_header(chat).settings)
            return self._with_languages(found)
        except AttnvizError:
            if self._named or not (chat / "tokenizer.json").is_file():
                raise
            return self._own()

    @property
    def _guessed(self) -> bool:
        """Whether the class of a complete tokenizer.json was chosen by transformers rather than named by its author."""
        folder = self._checkpoint.chat
        if self._reason or not isinstance(folder, Path) or not (folder / "tokenizer.json").is_file():
            return False
        return self._named != type(self.tokenizer).__name__.removesuffix("Fast")

    @property
    def _named(self) -> str:
        """The class that the tokenizer's settings, or the model's config, name; empty if none do."""
        named = tokenizer_settings(self._checkpoint.chat).get("tokenizer_class")
        return str(named or self._checkpoint.config.get("tokenizer_class") or "").removesuffix("Fast")

    _reason = ""
    """Why the tokenizer is read from its file rather than by its class; empty if it is not."""

    def _own(self, template: object = None) -> Any:
        """Return the tokenizer exactly as tokenizer.json describes it."""
        made = _generic(tokenizer_file=str(self._checkpoint.chat / "tokenizer.json"))
        made.chat_template = template
        return made

    def _with_languages(self, tokenizer: Any) -> Any:
        tokenizer.truncation_side = "right"
        languages = self._checkpoint.languages
        if languages is not None:
            if languages.asked[0]:
                tokenizer.src_lang = languages.source
            if languages.asked[1] or getattr(tokenizer, "tgt_lang", None) is None:
                tokenizer.tgt_lang = languages.target
        return tokenizer

    def _source(self, source: EncodingSource) -> TokenizerInput:
        cut: dict[str, Any] = {"truncation": True, "max_length": source.limit} if source.limit else {}
        if source.chat:
            said = [{"role": "user", "content": source.text}]
            found = self.tokenizer.apply_chat_template(
                said, add_generation_prompt=True, tokenize=True, return_dict=True, **cut
            )
        else:
            found = self.tokenizer(source.text, source.pair, **cut)
        ids = _flat(found["input_ids"])
        if 0 in _flat(found.get("attention_mask", ())):
            raise ValueError("it masks tokens of a single text")
        types = found.get("token_type_ids") if reads_types(self._class, self._config) else None
        return TokenizerInput(ids, None if types is None else _flat(types))

    def _target(self, source: EncodingSource) -> TokenizerInput:
        if source.text is None:
            return TokenizerInput(self._beginning())
        cut: dict[str, Any] = {"truncation": True, "max_length": source.limit} if source.limit else {}
        found = self.tokenizer(text_target=source.text, return_special_tokens_mask=True, **cut)
        labels, marks = _flat(found["input_ids"]), _flat(found["special_tokens_mask"])
        # If the tokenizer adds no end token, the last label is read too.
        last = () if marks[-1] or labels[-1] in self.tokenizer.all_special_ids else labels[-1:]
        return TokenizerInput(self._shifted(labels) + last)

    def _shifted(self, labels: Sequence[int]) -> tuple[int, ...]:
        """Return what the decoder reads so that ``labels`` follow, computed by the model's own code."""
        config, given = self._config, torch.tensor([labels])
        if hasattr(self._class, "_shift_right"):
            return _flat(self._class._shift_right(SimpleNamespace(config=config), given))
        shift = shift_function(self._class)
        if shift is None:
            return (int(config.decoder_start_token_id), *labels[:-1])
        parameters = inspect.signature(shift).parameters
        named = [name for name in ("pad_token_id", "decoder_start_token_id") if name in parameters]
        return _flat(shift(given, *(getattr(config, name) for name in named)))

    def _beginning(self) -> tuple[int, ...]:
        """Return what the decoder reads before it chooses a token: its start, and the language token if one must
        follow.
        """
        languages, said = self._checkpoint.languages, self._checkpoint.generation
        if languages is None or not languages.leads(self._checkpoint.config, said):
            start = said.get("decoder_start_token_id")
            start = getattr(self._config, "decoder_start_token_id", None) if start is None else start
            return (int(said["bos_token_id"] if start is None else start),)
        start, *_ = self._shifted(_flat(self.tokenizer(text_target="a")["input_ids"]))
        mark = self.tokenizer.convert_tokens_to_ids(languages.marking.written.format(languages.target))
        return (start,) if start == mark else (start, mark)

    @cached_property
    def _config(self) -> Any:
        checkpoint = self._checkpoint
        if not isinstance(checkpoint.reference, Path):
            config = checkpoint.reference.config
        else:
            config = config_of(checkpoint, trust_remote_code=self._trust)
        if getattr(config, "decoder_start_token_id", None) is None:
            config = copy.deepcopy(config)
            config.decoder_start_token_id = checkpoint.generation.get("decoder_start_token_id")
        return config

    @cached_property
    def _class(self) -> Any:
        reference = self._checkpoint.reference
        if not isinstance(reference, Path):
            return type(reference)
        return model_class(self._config, self._checkpoint.config)


def _generic(**source: Any) -> Any:
    """Return a tokenizer of the generic class, which returns token types as well."""
    named = ["input_ids", "token_type_ids", "attention_mask"]
    return transformers.PreTrainedTokenizerFast(**source, model_input_names=named)


def _difference(whose: str, ours: Encoding, theirs: TokenizerInput, tokenizer: Any) -> str:
    # Tokens that a decoder generated were not given to it, except for a language token that had to follow.
    """Return the first difference between ``ours`` and ``theirs``, in words; empty if there is none."""
    alone = ours.source is not None and ours.source.text is None
    count = len(theirs.ids) if alone else len(ours) - ours.generated
    if alone and not ours.generated:
        theirs = replace(theirs, ids=theirs.ids[:1])
    types = None if theirs.types is None else ours.type_ids
    for what, mine, other in (("id", ours.ids, theirs.ids), ("type", types, theirs.types)):
        pairs = enumerate(zip_longest((mine or ())[:count], other or ()))
        place = next((i for i, (a, b) in pairs if a != b), None)
        if mine is not None and other is not None and place is not None:
            made = tokenizer.convert_ids_to_tokens(list(theirs.ids))
            return (
                f"token {place} {whose}is {_said(ours.tokens[:count], what, mine, place)}, "
                f"and transformers' tokenizer makes {_said(made, what, other, place)}"
            )
    return ""


def _said(tokens: Sequence[str], what: str, values: Sequence[int], place: int) -> str:
    return f"{tokens[place]!r} with the {what} {values[place]}" if place < len(tokens) else "nothing"


def _joined(values: tuple[int, ...], parts: Iterable[slice]) -> tuple[int, ...]:
    return tuple(value for part in parts for value in values[part])


def _flat(values: Any) -> tuple[int, ...]:
    """Return the ids of one text; some calls return them as a batch of one."""
    values = values.tolist() if isinstance(values, torch.Tensor) else list(values)
    return tuple(values[0] if values and isinstance(values[0], list) else values)


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
