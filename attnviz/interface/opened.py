"""A model that is opened, and what it reads of texts."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from attnviz.checkpoint import Checkpoint, chat_text, refresh
from attnviz.encoding import Encoding, Lexicon, Windows, encode, encode_again, encode_target, slide_windows
from attnviz.errors import UsageError, short

if TYPE_CHECKING:
    from attnviz.model.backends import Options
    from attnviz.model.hosted import Hosted, TokenizerCheck
    from attnviz.model.native.backend import Native
    from attnviz.model.watch import ModelWatch

Words = Lexicon | Iterable[str] | Iterable[Sequence[int]]
"""What is known to be a word: a list, or pairs (start, stop) of a text's characters."""
NEW_TOKENS = 32
"""How many tokens an encoder–decoder writes where no target is given."""
_HEADS = 1024
"""How many heads a model is taken to have that does not say it."""


class Opened:
    """A checkpoint, how it is run, and what the model reads of a text."""

    def __init__(self, checkpoint: Checkpoint, options: Options | None = None) -> None:
        self.checkpoint = checkpoint
        self._options = options

    def __getstate__(self) -> dict[str, object]:
        """A copy, or what is read from a pickle, opens the checkpoint anew."""
        return {"checkpoint": self.checkpoint, "_options": self._options}

    @property
    def name(self) -> str:
        """The Hub id, or the folder's name."""
        return self.checkpoint.name

    @cached_property
    def options(self) -> Options:
        """The type of the numbers, and the device."""
        from attnviz.model.backends import Options

        return self._options or Options()

    @cached_property
    def _active(self) -> threading.local:
        """The interventions of each thread, which hold when a model in memory is opened anew, too."""
        return threading.local()

    @cached_property
    def _opened(self) -> tuple[Native | Hosted, str, ModelWatch | None]:
        from attnviz.model.backends import open_backend, watch_model

        backend, reason = open_backend(self.checkpoint, self.options)
        backend.active = self._active
        return backend, reason, watch_model(self.checkpoint, backend)

    def follow(self) -> None:
        """Open a model in memory anew where it has changed since: other values, hooks, modules or settings."""
        watch = self._opened[2]
        if watch is not None and not watch.is_same():
            self.checkpoint = refresh(self.checkpoint)
            vars(self).pop("by_transformers", None)
            vars(self).pop("_opened", None)

    @property
    def backend(self) -> Native | Hosted:
        """The model ready to run: our own forward pass, or transformers' with our kernel."""
        return self._opened[0]

    @cached_property
    def by_transformers(self) -> Hosted:
        """The model as transformers runs it, whether or not our own forward pass can."""
        from attnviz.model.backends import open_by_transformers
        from attnviz.model.hosted import choose_backend

        if self.backend.name != "native":
            return self.backend
        # A model in memory that runs natively was seen to be unmodified.
        found = choose_backend(open_by_transformers(self.checkpoint, self.options), unmodified=True)
        found.active = self._active
        return found

    @property
    def reason(self) -> str:
        """Why the model is hosted; empty where our own forward pass runs it."""
        return self._opened[1]

    @cached_property
    def _reader(self) -> TokenizerCheck:
        """The tokenizer of transformers, for the check."""
        from attnviz.model.hosted import TokenizerCheck

        return TokenizerCheck(self.checkpoint, trust_remote_code=self.options.trust_remote_code)

    @property
    def uncheckable(self) -> str:
        """Why there is nothing of ours that could be checked; empty where there is."""
        observed = self.backend.name == "observed"
        return "observed: the model's own weights, nothing to compare with" if observed else ""

    def encode(
        self,
        text: str,
        pair: str | None = None,
        *,
        truncate: bool = False,
        chat: bool = False,
        words: Words | None = None,
    ) -> Encoding:
        """Encode a text, or a pair of texts, for this model; ``chat`` puts it into the model's chat template.

        ``words`` are as for ``attend``.

        Raises:
            InputError: the text is blank, unknown to the tokenizer, or longer than the model (unless ``truncate``).
            UsageError: ``chat``, and the model has no chat template.
        """
        read = chat_text(self.checkpoint, text) if chat else text
        limit, known = self.backend.limit, _known(words, text, read)
        encoding = encode(
            self.checkpoint.tokenizer, read, pair, limit=limit, truncate=truncate, marks=not chat, words=known
        )
        return _of_chat(encoding, text) if chat else encoding

    def inputs(
        self,
        text: str,
        pair: str | None = None,
        target: str | None = None,
        *,
        generate: int | None = None,
        truncate: bool = False,
        chat: bool = False,
        words: Words | None = None,
        shown: bool = False,
    ) -> tuple[Encoding, Encoding | None]:
        """What the model reads, and what its decoder reads where it has an encoder too; as for ``attend``.

        ``shown``: it runs next, and its hidden states are not wanted.
        """
        from attnviz.model.cost import limits as foresee

        if generate is not None and (not isinstance(generate, int) or generate < 0):
            raise UsageError(f"generate is {short(generate)}, expected a number of tokens")
        self.follow()
        foresee.require_text_fits(self.checkpoint, self.options, text, self.backend.limit, truncate=truncate)
        source = self.encode(text, pair, truncate=truncate, chat=chat, words=words)
        foresee.require_memory(self.checkpoint, self.options, len(source))
        two = "cross" in self.backend.kinds
        if target is not None and not two:
            raise no_decoder(self.name)
        if target is not None and generate:
            raise UsageError("a target is given, and tokens to generate: one of them is the decoder's text")
        tokenizer, limit = self.checkpoint.tokenizer, self.backend.limit
        if target is not None:
            languages = self.checkpoint.languages
            marks = True if languages is None else languages.around_target()
            known = None if source.lexicon is None or source.lexicon.spans else source.lexicon
            read = encode_target(
                tokenizer, target, self.backend.start, limit=limit, truncate=truncate, marks=marks, words=known
            )
            return source, read
        if two and generate is None and self.backend.labels is not None and self.backend.can_classify(source):
            return source, encode_again(tokenizer, source, self.backend.start)
        count = NEW_TOKENS if generate is None and two else generate or 0
        if not count:
            return source, None
        from attnviz.model.generation import generate_continuation

        return generate_continuation(self.checkpoint, self.options, self.backend, source, count, shown=shown)

    def _size(
        self,
        text: str,
        pair: str | None = None,
        *,
        generate: int | None = None,
        truncate: bool = False,
        chat: bool = False,
    ) -> int:
        """About how many bytes the weights of all heads of a text take."""
        from attnviz.model.cost import limits

        limits.require_text_fits(self.checkpoint, self.options, text, self.backend.limit, truncate=truncate)
        tokens = len(self.encode(text, pair, truncate=truncate, chat=chat)) + (generate or 0)
        heads = self.backend.heads[self.backend.kinds[0]] or _HEADS
        return heads * tokens * tokens * self.options.dtype.itemsize

    def _windows(
        self, text: str, stride: int | None, others: Sequence[str], *, chat: bool, words: Words | None
    ) -> tuple[Encoding, Windows | None]:
        """A text without regard to the model's limit, and its windows, None where it fits; ``others`` are options."""
        from attnviz.analysis.text.observing import is_causal

        self.follow()
        if "cross" in self.backend.kinds:
            raise UsageError(f"{self.name} is an encoder–decoder: it reads no text in windows")
        if others:
            raise UsageError(f"`windows` slides over one text, as it is: it does not go with {' and '.join(others)}")
        if self.backend.limit is None:
            raise UsageError(f"{self.name} reads texts of any length: leave `windows` out")
        tokenizer, marks = self.checkpoint.tokenizer, not chat
        read = chat_text(self.checkpoint, text) if chat else text
        document = encode(tokenizer, read, marks=marks, words=_known(words, text, read))
        document = _of_chat(document, text) if chat else document
        causal = is_causal(self.backend, "self")
        windows = slide_windows(
            tokenizer, document, limit=self.backend.limit, causal=causal, stride=stride, marks=marks
        )
        return document, windows if len(windows) > 1 else None


def no_decoder(name: str) -> UsageError:
    """The error of a target that is given to the model of this ``name``, which reads none."""
    return UsageError(
        f"{name} has no decoder beside an encoder: it takes no target",
        hint="Give an encoder–decoder, such as T5, BART, Marian or NLLB; or read two texts with `pair`.",
    )


def _of_chat(encoding: Encoding, text: str) -> Encoding:
    """``encoding`` as one that was made from the user's message ``text``."""
    return replace(encoding, source=encoding.source and replace(encoding.source, text=text, chat=True))


def _known(words: Words | None, text: str, read: str) -> Lexicon | None:
    """The ``words`` of a ``text``, where it is ``read`` within a chat."""
    if words is None:
        return None
    known = Lexicon.of(words)
    at = read.find(text)
    if known.spans and at < 0:
        raise UsageError("the model's chat template changes the text: the words are not where it says they are")
    return known.shifted(max(at, 0)) if known.spans else known
