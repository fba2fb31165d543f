"""The language tokens of translation models: which languages there are, and where their tokens stand around a text.

transformers' tokenizers of these models set the tokens anew for each language, whatever tokenizer.json says. A table
here has a row for what each class does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from attnviz.errors import UsageError, did_you_mean, short

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

_TEXT, _LANGUAGE, _END = "$A", "language", "end"
_PREFIX, _SUFFIX = (_LANGUAGE, _TEXT, _END), (_TEXT, _END, _LANGUAGE)
_LONGEST = 50
"""The longest text for which a similar code is searched; no code is that long."""
_NAMED = 5
"""The most codes that a message names."""


@dataclass(frozen=True)
class Marking:
    """How a class of tokenizers marks languages: the order of the special tokens, and how a language's token is
    written.

    Args:
        source: the order around a text that the encoder reads.
        target: the order around a text that the decoder reads.
        written: the format of a language's token; ``{}`` is the code.
        codes: a regular expression for the language tokens.
        speaks: the language of a text if nothing names one.
        answers: the language of a target if nothing names one.
        needed: False if a text may have no language.
    """

    source: Sequence[str] = _PREFIX
    target: Sequence[str] = _PREFIX
    written: str = "{}"
    codes: str = r"[a-z]{2,3}_[A-Z]\w+"
    speaks: str | None = None
    answers: str | None = None
    needed: bool = True

    def bare(self, token: str) -> str:
        """Return the code of the language token ``token``; a code is returned unchanged."""
        before, after = self.written.split("{}")
        return token.removeprefix(before).removesuffix(after)


_UNDERSCORED = Marking(written="__{}__", codes=r"__\w+__")
MARKINGS: Mapping[str, Marking] = {
    "NllbTokenizer": Marking(speaks="eng_Latn"),
    "M2M100Tokenizer": replace(_UNDERSCORED, speaks="en"),
    "MBartTokenizer": Marking(_SUFFIX, _SUFFIX, speaks="en_XX"),
    "MBart50Tokenizer": Marking(speaks="en_XX"),
    "PLBartTokenizer": replace(_UNDERSCORED, source=_SUFFIX, target=_SUFFIX, needed=False),
    "SeamlessM4TTokenizer": replace(_UNDERSCORED, target=(_END, *_PREFIX), speaks="eng", answers="fra"),
}  # fmt: skip
_OF_MODELS = {
    "m2m_100": "M2M100Tokenizer", "mbart": "MBartTokenizer", "nllb-moe": "NllbTokenizer", "plbart": "PLBartTokenizer",
    "seamless_m4t": "SeamlessM4TTokenizer", "seamless_m4t_v2": "SeamlessM4TTokenizer",
}  # fmt: skip
"""The tokenizer class by model type, for tokenizers whose settings name none."""
BEGINNINGS = ("forced_bos_token_id", "decoder_start_token_id")
"""The config attributes that may name the language in which a model generates."""


@dataclass(frozen=True)
class Languages:
    """The languages of a model's tokenizer.

    Args:
        marking: how its class marks languages.
        tokens: the ids of the language tokens by code.
        end: the end token and its id.
        source: the language of a text.
        target: the language of a target.
        asked: whether the user named the source and the target language; otherwise the tokenizer or the model did.
    """

    marking: Marking
    tokens: Mapping[str, int]
    end: tuple[str, int]
    source: str | None
    target: str | None
    asked: tuple[bool, bool] = (False, False)

    def choose(self, source: str | None, target: str | None) -> Languages:
        """Return these languages with another ``source`` and ``target``; None keeps one.

        Raises:
            UsageError: there is no such language; the hint has the nearest code.
        """
        return replace(
            self,
            source=self.source if source is None else self.find("`source_lang`", source),
            target=self.target if target is None else self.find("`target_lang`", target),
            asked=(source is not None, target is not None),
        )

    def find(self, option: str, code: str) -> str:
        """Return the code of a language that is given as a code or as its token."""
        return find_code(option, self.marking.bare(code) if isinstance(code, str) else "", self.tokens, code)

    def around(self, code: str | None, *, target: bool) -> TemplateProcessing:
        """Return the processor that adds the special tokens around a text in the language ``code``."""
        from tokenizers.processors import TemplateProcessing

        mark = None if code is None else self.marking.written.format(code)
        names = {_TEXT: _TEXT, _END: self.end[0], _LANGUAGE: mark}
        single = [names[part] for part in (self.marking.target if target else self.marking.source) if names[part]]
        ids = dict([self.end] if code is None else [self.end, (mark, self.tokens[code])])
        pair = [part for name in single for part in ((_TEXT, "$B") if name == _TEXT else (name,))]
        return TemplateProcessing(single=single, pair=pair, special_tokens=[*ids.items()])

    def around_source(self) -> TemplateProcessing:
        """Return the processor that adds the special tokens around a text of the encoder.

        Raises:
            UsageError: nothing names the language of the text.
        """
        return self.around(self._known(self.source, "text", "`source_lang`"), target=False)

    def around_target(self) -> TemplateProcessing:
        """Return the processor that adds the special tokens around a decoder's text, before it is shifted.

        Raises:
            UsageError: nothing names the language of the target.
        """
        return self.around(self._known(self.target, "target", "`target_lang`"), target=True)

    def leads(self, config: Mapping[str, Any], generation: Mapping[str, Any]) -> bool:
        """Whether generation must begin with the target language rather than as the configs say."""
        if self.target is None and not self.marking.needed:
            return False
        said = [each.get(name) for name in BEGINNINGS for each in (generation, config)]
        return self.asked[1] or not any(number in self.tokens.values() for number in said)

    def opening(self, start: int | None) -> tuple[int, int | None]:
        """Return the token with which the decoder begins, and the token that must follow to write in the target
        language.

        Args:
            start: the model's start token; None if the text's end token is moved to the start.

        Raises:
            UsageError: nothing names the target language.
        """
        code = self._known(self.target, "target", "`target_lang`")
        last = self.marking.target[-1]
        mark = None if code is None else self.tokens[code]
        if start is None and last == _LANGUAGE and mark is not None:
            return mark, None
        return self.end[1] if start is None else start, mark

    def _known(self, code: str | None, what: str, option: str) -> str | None:
        if code is None and self.marking.needed:
            raise UsageError(
                f"the model reads {len(self.tokens)} languages, and nothing says in which the {what} is",
                hint=f"Give its code as {option}, such as {some_codes(self.tokens)}",
            )
        return code


def find_code(option: str, code: str, codes: Collection[str], given: object = None) -> str:
    """Return ``code`` if it is one of the ``codes``; ``given`` is how it was written.

    Raises:
        UsageError: it is none of them; the hint has the nearest one.
    """
    if code in codes:
        return code
    meant = did_you_mean(code, codes) if len(code) < _LONGEST else ""
    raise UsageError(
        f"{option} is {short(code if given is None else given)}: it is none of the {len(codes)} languages of the model",
        hint=meant.strip() or f"Give one of them: {some_codes(codes)}.",
    )


def some_codes(codes: Collection[str]) -> str:
    """Return the first of the ``codes``, for a message."""
    named = ", ".join([*codes][:_NAMED])
    return f"{named} …" if len(codes) > _NAMED else named


def language_numbers(config: Mapping[str, Any]) -> Mapping[str, int]:
    """The languages for which the model itself has parts, adapters or embeddings, and their numbers there."""
    named, numbered = config.get("languages"), config.get("lang2id")
    if isinstance(named, list | tuple):
        return {str(code): number for number, code in enumerate(named)}
    several = config.get("n_langs") not in (None, 1) and config.get("use_lang_emb", True)
    return numbered if isinstance(numbered, Mapping) and several else {}


def read_languages(
    tokenizer: Tokenizer, settings: Mapping[str, Any], config: Mapping[str, Any], generation: Mapping[str, Any]
) -> Languages | None:
    """Return the languages of ``tokenizer``; None if it has none.

    Args:
        settings: tokenizer_config.json, or the attributes of a tokenizer in memory: the class and the default
            languages.
        config: the model's config, which may name the language in which it generates.
        generation: the model's generation config, likewise.
    """
    name = settings.get("tokenizer_class") or _OF_MODELS.get(str(config.get("model_type"))) or ""
    marking = MARKINGS.get(str(name).removesuffix("Fast"))
    if marking is None:
        return None
    if settings.get("legacy_behaviour"):
        marking = replace(marking, source=_SUFFIX, target=_SUFFIX)
    added = {token.content: number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    tokens = {marking.bare(token): number for token, number in added.items() if re.fullmatch(marking.codes, token)}
    end = str(_content(settings.get("eos_token")) or "</s>")
    number = tokenizer.token_to_id(end)
    if not tokens or number is None:
        return None
    own = {number: code for code, number in tokens.items()}
    said = [each.get(name) for name in BEGINNINGS for each in (generation, config)]
    begun = next((own[number] for number in said if number in own), None)
    speaks = "en_XX" if settings.get("language_codes") == "multi" else marking.speaks

    def first(*said: object) -> str | None:
        code = marking.bare(str(next((each for each in said if each is not None), "")))
        return code if code in tokens else None

    source, target = first(settings.get("src_lang"), speaks), first(settings.get("tgt_lang"), begun, marking.answers)
    return Languages(marking, tokens, (end, number), source, target)


def _content(token: object) -> object:
    """Return the text of a token that is written as text, or as an object with its ``content``."""
    return token.get("content") if isinstance(token, Mapping) else token
