"""Greedy decoding by our own forward pass: the next token is the one with the highest score that the rules allow.

What a model's configs demand of every generation is kept (a token to begin with, words that are never said), so that
the ids are those of transformers' ``generate`` without sampling and with one beam. What changes no greedy choice is
passed over: temperatures, beams, and factors that all scores have in common.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attnviz.attention.interventions import Intervention
from attnviz.errors import ModelError, UnsupportedModel, short
from attnviz.model.inputs import require_token
from attnviz.model.native.ahead import predicting_state
from attnviz.model.native.forward import KVCache, Network
from attnviz.model.native.language_head import LanguageHead

# What changes greedy choices and is not done here: the value that changes nothing, beside None.
_UNKNOWN: Mapping[str, Any] = {
    "encoder_repetition_penalty": 1.0, "exponential_decay_length_penalty": None, "forced_decoder_ids": None,
    "guidance_scale": 1.0, "sequence_bias": None, "stop_strings": None, "watermarking_config": None,
}  # fmt: skip


@dataclass(frozen=True)
class GenerationRules:
    """What a model's configs demand of what it generates, in the order in which it is applied.

    Args:
        start: the token that a decoder with an encoder begins with.
        stop: tokens that end a text.
        penalty: by which the scores of tokens that were read are divided, or multiplied where negative.
        repeat: no sequence of so many tokens comes twice; 0 for any.
        copy: no sequence of so many tokens is copied from the text that was to be read; 0 for any.
        banned: sequences of tokens that never come.
        shortest: the least number of tokens before a stop, those that were given among them.
        shortest_new: the same without those.
        first: the token that follows a single one.
        last: tokens of which one is the last where the text reaches its greatest length.
        never: tokens that never come.
        never_first: tokens that are not the first to be generated.
    """

    start: int | None = None
    stop: tuple[int, ...] = ()
    penalty: float = 1.0
    repeat: int = 0
    copy: int = 0
    banned: tuple[tuple[int, ...], ...] = ()
    shortest: int = 0
    shortest_new: int = 0
    first: int | None = None
    last: tuple[int, ...] = ()
    never: tuple[int, ...] = ()
    never_first: tuple[int, ...] = ()


def read_rules(
    config: Mapping[str, Any], generation: Mapping[str, Any] | None = None, vocabulary: int | None = None
) -> GenerationRules:
    """The rules that ``generation_config.json`` says or, in older models that have none, ``config.json``.

    ``vocabulary`` is how many tokens the model knows; None is not to compare.

    Raises:
        UnsupportedModel: they ask for what is not done here; the message names it.
        ModelError: what they say is of another sort than it should be, or names tokens that there are not.
    """
    said = {name: value for name, value in (generation or config).items() if value is not None}
    for name, harmless in _UNKNOWN.items():
        if said.get(name, harmless) != harmless:
            raise UnsupportedModel(f"the model generates with {name} = {said[name]!r}, which attnviz does not know")
    start = "decoder_start_token_id"
    if said.get(start) is None:
        said[start] = config.get(start)
    if said[start] is None:
        start = "bos_token_id"
    reading = _Reading(said, vocabulary)
    return GenerationRules(
        start=reading.one(start),
        stop=reading.ids("eos_token_id", within=False),  # one that there is not is never written
        penalty=reading.factor("repetition_penalty"),
        repeat=reading.count("no_repeat_ngram_size"),
        copy=reading.count("encoder_no_repeat_ngram_size"),
        banned=reading.sequences("bad_words_ids"),
        shortest=reading.count("min_length"),
        shortest_new=reading.count("min_new_tokens"),
        first=reading.one("forced_bos_token_id"),
        last=reading.ids("forced_eos_token_id"),
        never=reading.ids("suppress_tokens"),
        never_first=reading.ids("begin_suppress_tokens"),
    )


@dataclass(frozen=True)
class _Reading:
    """What a config says of generating, each of the sort that it should be."""

    said: Mapping[str, Any]
    vocabulary: int | None

    def one(self, name: str) -> int | None:
        """A token, or None."""
        value = self.said.get(name)
        return None if value is None else require_token(name, value, self.vocabulary)

    def ids(self, name: str, *, within: bool = True) -> tuple[int, ...]:
        """One token or several; those that there are not only where not ``within``, and they are left out."""
        value = self.said.get(name)
        several = () if value is None else value if isinstance(value, list | tuple) else (value,)
        bound = self.vocabulary if within else None
        found = [require_token(name, one, bound) for one in several]
        return tuple(one for one in found if self.vocabulary is None or one < self.vocabulary)

    def sequences(self, name: str) -> tuple[tuple[int, ...], ...]:
        """Sequences of tokens."""
        value = self.said.get(name, ())
        if not isinstance(value, list | tuple) or not all(isinstance(words, list | tuple) and words for words in value):
            raise ModelError(f"{name} is {short(value)}, expected lists of tokens")
        return tuple(tuple(require_token(name, one, self.vocabulary) for one in words) for words in value)

    def count(self, name: str) -> int:
        """A whole number, zero or above."""
        value = self.said.get(name, 0)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ModelError(f"{name} is {short(value)}, expected a whole number, zero or above")
        return value

    def factor(self, name: str) -> float:
        """A number above zero."""
        value = self.said.get(name, 1.0)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= sys.float_info.max:
            raise ModelError(f"{name} is {short(value)}, expected a number above zero")
        return float(value)


def generate(
    network: Network,
    head: LanguageHead,
    ids: Sequence[int],
    type_ids: Sequence[int] = (),
    *,
    rules: GenerationRules,
    count: int,
    past: KVCache | None = None,
    interventions: Sequence[Intervention] = (),
) -> list[int]:
    """At most ``count`` ids that follow ``ids``, or that a decoder makes of ``ids`` after its start token.

    A stop token is the last of them; a model that has positions for fewer tokens ends where these end. A ``past`` that
    is given has read all tokens in the end, the last one too where there is room for it. The ``interventions`` are what
    is put in the place of weights and of heads' outputs while it reads and writes.

    Raises:
        ModelError: no config says which token the decoder begins with.
    """
    memory, read = None, list(ids)
    if network.encoder:
        start = network.spec.start if rules.start is None else rules.start
        if start is None:
            code = "A translation begins with the code of its language: name it as `target_lang`. "
            raise ModelError(
                "no config says which token the decoder begins with",
                hint=f"{code if network.spec.wraps else ''}Say it as decoder_start_token_id in config.json, or give "
                "the target text yourself.",
            )
        memory, read, type_ids = network.encoder(ids, type_ids, interventions=interventions), [start], ()
    wanted, past = past, past or KVCache()
    given, fresh = len(read), read
    if network.spec.limit is not None:
        count = min(count, network.spec.limit + 1 - given)  # the last token is not read again
    while len(read) < given + count:
        states = network(fresh, type_ids, memory=memory, past=past, interventions=interventions)
        scores = head(predicting_state(network, states, past, memory, interventions))  # (vocabulary,)
        token = int(allowed(rules, scores, read, ids, given, given + count).argmax())
        read, fresh, type_ids = [*read, token], [token], ()
        if token in rules.stop:
            break
    if wanted is not None and (network.spec.limit is None or len(read) <= network.spec.limit):
        network(fresh, type_ids, memory=memory, past=past, interventions=interventions)
    return read[given:]


def allowed(
    rules: GenerationRules, scores: Tensor, read: Sequence[int], source: Sequence[int], given: int, longest: int
) -> Tensor:
    """The ``scores`` (vocabulary,) of the token that follows ``read``, −∞ where the rules forbid it.

    ``source`` is the text that was to be read, ``given`` the number of tokens of ``read`` that were not generated, and
    ``longest`` how many there may be at the end.
    """
    scores = scores.clone()
    if rules.penalty != 1:
        seen = list(set(read))
        scores[seen] = torch.where(scores[seen] < 0, scores[seen] * rules.penalty, scores[seen] / rules.penalty)
    forbidden = _completions(read, read, rules.repeat) | _completions(read, source, rules.copy)
    forbidden |= {
        words[-1]
        for words in rules.banned
        if tuple(read[len(read) + 1 - len(words) :]) == words[:-1] and (len(words) > 1 or words[0] not in rules.stop)
    }
    if len(read) < max(rules.shortest, given + rules.shortest_new if rules.shortest_new else 0):
        forbidden |= set(rules.stop)
    scores[list(forbidden)] = -torch.inf
    if rules.first is not None and len(read) == 1:
        _force(scores, (rules.first,))
    if rules.last and len(read) == longest - 1:
        _force(scores, rules.last)
    begins = len(read) == given + (given == 1 and rules.first is not None)
    scores[list({*rules.never, *(rules.never_first if begins else ())})] = -torch.inf
    return scores


def _completions(read: Sequence[int], text: Sequence[int], length: int) -> set[int]:
    """The tokens that would complete a sequence of ``length`` tokens at the end of ``read`` that ``text`` has."""
    if length == 0 or len(read) < length - 1:
        return set()
    end = tuple(read[len(read) + 1 - length :])
    return {text[i + length - 1] for i in range(len(text) - length + 1) if tuple(text[i : i + length - 1]) == end}


def _force(scores: Tensor, tokens: Sequence[int]) -> None:
    """Leave only ``tokens``, all alike."""
    scores.fill_(-torch.inf)
    scores[list(tokens)] = 0
