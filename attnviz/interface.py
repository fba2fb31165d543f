"""What a notebook or a script uses: ``load``, ``Model``, ``Attention`` and ``EncoderDecoder``."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnviz import record
from attnviz.analysis.links import Link, find_unit, positional_heads, select, strongest
from attnviz.analysis.units import in_words
from attnviz.checkpoint import DEFAULT, Checkpoint, adopt, open_checkpoint
from attnviz.encoding import Encoding, encode
from attnviz.errors import InputError

if TYPE_CHECKING:
    from attnviz.model.check import Check
    from attnviz.model.forward import Network


class Attention(record.Attention):
    """The record, with what a notebook wants of it: links from a word, and its own drawing."""

    def links(self, word: str | None = None, *, top: int = 10, special: bool = False) -> list[Link]:
        """The strongest links between words, from ``word`` only if given (``"the:2"``: its second occurrence).

        Each pair of words comes once, in the head where it is strongest. Special tokens, punctuation, function
        words and positional heads are left out; with ``special`` the first two come in.

        Raises:
            UsageError: the text has no such word.
        """
        units = in_words(self)
        selection = select(units, positional_heads(self), causal=self.causal, special=special)
        if word is not None:
            selection = replace(selection, queries=np.isin(np.arange(len(units.queries)), find_unit(units, word)))
        return strongest(selection, top)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the record as ``.json`` or ``.safetensors``; ``attnviz show --from`` and ``Attention.open`` read it."""
        target = Path(path)
        record.write(self, target, target.suffix)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Attention:
        """Read a record that ``save`` or ``attnviz export`` wrote.

        Raises:
            InputError: the file is missing, damaged, no record, or an encoder–decoder's three maps.
        """
        found = record.read(Path(path))
        if isinstance(found, record.EncoderDecoder):
            raise InputError(
                f"{path} holds the three maps of an encoder–decoder", hint="Open it with EncoderDecoder.open."
            )
        return cls(**vars(found))

    def _repr_png_(self) -> bytes:
        from attnviz.render.figure import Style, draw_grid, to_png

        return to_png(draw_grid(self, in_words(self), Style(dpi=100)))


class EncoderDecoder(record.EncoderDecoder):
    """The three attentions of an encoder–decoder, each as a notebook wants it; it draws itself as the cross map."""

    encoder: Attention
    decoder: Attention
    cross: Attention

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save all three in one ``.json`` or ``.safetensors``, for ``show --from`` and ``EncoderDecoder.open``."""
        target = Path(path)
        record.write(self, target, target.suffix)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> EncoderDecoder:
        """Read the three maps that ``save`` or ``attnviz export`` wrote.

        Raises:
            InputError: the file is missing, damaged, no record, or a single map.
        """
        found = record.read(Path(path))
        if not isinstance(found, record.EncoderDecoder):
            raise InputError(
                f"{path} holds one map, not the three of an encoder–decoder", hint="Open it with Attention.open."
            )
        return cls(**{name: Attention(**vars(each)) for name, each in vars(found).items()})

    def _repr_png_(self) -> bytes:
        return self.cross._repr_png_()


class Model:
    """A model that attends. Made by ``load``."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    @property
    def name(self) -> str:
        """The Hub id, or the folder's name."""
        return self.checkpoint.name

    @cached_property
    def network(self) -> Network:
        """Our own network of the checkpoint, in float32."""
        from attnviz.model.native import open_network

        return open_network(self.checkpoint)

    def encode(self, text: str, pair: str | None = None, *, truncate: bool = False) -> Encoding:
        """Encode a text, or a pair of texts, for this model.

        Raises:
            InputError: the text is blank, unknown to the tokenizer, or longer than the model (unless ``truncate``).
        """
        return encode(self.checkpoint.tokenizer, text, pair, limit=self.network.spec.limit, truncate=truncate)

    def attend(self, text: str, pair: str | None = None, *, truncate: bool = False) -> Attention:
        """Run ``text`` (and ``pair``) through our own forward pass and keep the weights of all heads.

        Raises:
            InputError: as ``encode``.
            ModelError: the checkpoint is damaged or unsupported.
        """
        from attnviz.model.native import run
        from attnviz.model.observers import Weights

        encoding, weights = self.encode(text, pair, truncate=truncate), Weights()
        run(self.network, encoding, [weights])
        return Attention(self.name, "native", self.network.spec.causal, encoding, weights.stacked().numpy())

    def check(self, text: str, pair: str | None = None, *, float64: bool = False, truncate: bool = False) -> Check:
        """Compare our attention with transformers' own, in every layer and head; loads transformers.

        ``check(…).max_abs_diff`` is the largest difference of two weights.

        Raises:
            InputError, ModelError: as ``attend``; also a model that transformers can't load.
        """
        return self.check_encoding(self.encode(text, pair, truncate=truncate), float64=float64)

    def check_encoding(self, encoding: Encoding, *, float64: bool = False) -> Check:
        """``check`` of an input that is encoded already."""
        import torch

        from attnviz.model.check import check

        return check(self.checkpoint, encoding, torch.float64 if float64 else torch.float32)


def load(model: str | os.PathLike[str] | tuple[Any, Any] = DEFAULT, *, revision: str | None = None) -> Model:
    """Load a model: the default one, a folder, a Hub id (at ``revision``), or (transformers model, tokenizer).

    Raises:
        ModelError: it can't be found or read.
    """
    if isinstance(model, tuple):
        return Model(adopt(*model))
    return Model(open_checkpoint(model, revision))
