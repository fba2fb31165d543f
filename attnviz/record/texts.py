"""The texts and layers of a record; the same for all kinds of records."""

from __future__ import annotations

from attnviz.encoding import Encoding


class RecordTexts:
    """The texts and layers of a record. A subclass has these fields, and a ``shape`` that begins with (L, H)."""

    encoding: Encoding
    keys: Encoding | None
    numbers: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """(L, H, …)."""
        raise NotImplementedError

    @property
    def tokens(self) -> tuple[str, ...]:
        """The model's pieces, readable."""
        return self.encoding.tokens

    @property
    def words(self) -> tuple[str, ...]:
        """The reader's words as the text writes them; special tokens are words of their own."""
        return tuple(word.text for word in self.encoding.words)

    @property
    def key_encoding(self) -> Encoding:
        """The text that is looked at: ``encoding`` itself unless ``keys`` is another."""
        return self.encoding if self.keys is None else self.keys

    @property
    def key_tokens(self) -> tuple[str, ...]:
        """``tokens`` of the text that is looked at."""
        return self.key_encoding.tokens

    @property
    def key_words(self) -> tuple[str, ...]:
        """``words`` of the text that is looked at."""
        return tuple(word.text for word in self.key_encoding.words)

    @property
    def layers(self) -> int:
        """L, the number of layers."""
        return self.shape[0]

    @property
    def heads(self) -> int:
        """H, the number of heads in a layer."""
        return self.shape[1]

    @property
    def layer_numbers(self) -> tuple[int, ...]:
        """The model's own number of each of the L layers."""
        return self.numbers or tuple(range(self.layers))
