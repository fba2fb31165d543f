"""The records as a notebook wants them: they open, draw and answer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from attnviz import record
from attnviz.analysis.languages import language_code
from attnviz.attention.memory import free_memory
from attnviz.encoding import Encoding
from attnviz.errors import InputError
from attnviz.interface.matrix import Matrix
from attnviz.interface.record_answers import RecordAnswers
from attnviz.interface.shown import Saveable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attnviz.analysis.text.word_alignment import AlignedUnit, Step
    from attnviz.attention.observers import HiddenStates, Scores, Weights
    from attnviz.interface.tables import Table
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native
    from attnviz.render.figure import View


class Attention(record.AttentionRecord, RecordAnswers, Saveable):
    """The record, with what a notebook wants of it: links from a word, and its own drawing."""

    def plot(
        self,
        *,
        layer: int | Sequence[int] | None = None,
        head: int | Sequence[int] | Literal["mean"] | None = None,
        view: View | None = None,
        token: str | None = None,
        versus: record.AttentionRecord | None = None,
        unit: record.Unit = "word",
        special: bool = False,
        rows: str | tuple[int | None, int | None] = (None, None),
        columns: str | tuple[int | None, int | None] = (None, None),
        language: str = "English",
        horizontal: bool = False,
        **style: Any,
    ) -> Figure:
        """Draw the record as ``attnviz export`` does.

        Args:
            layer: which layers; the one of the strongest link if None.
            head: which heads, or ``"mean"``.
            view: ``grid``, ``head``, ``arcs``, ``token``, ``profile`` or ``difference``; by default the one that fits.
            token: the word that looks; it picks the head.
            versus: the other record of a difference.
            unit: what rows and columns are.
            special: draw special tokens and punctuation too.
            rows, columns: which of them are drawn: two numbers of units, or a word.
            language: whose function words do not count.
            horizontal: whether the words of arcs stand side by side.
            style: the fields of ``attnviz.render.figure.Style``: ``theme``, ``width``, ``vmax``, ``log``, …

        Returns:
            A matplotlib figure, which a notebook shows and ``figure.savefig`` writes.

        Raises:
            UsageError: a layer, head, word, view or style that there is not.
        """
        from attnviz.analysis.text.replaying import replay
        from attnviz.render import figure

        request = record.Request(
            unit=unit,
            special=special,
            words=() if token is None else (token,),
            heads=record.Heads.of(layer, None if head == "mean" else cast("int | None", head), mean=head == "mean"),
            crop=record.Crop(rows, columns),
            language=language_code(language),
        )
        look = figure.style_of(**style)
        chosen = figure.choose_view(view, request, versus=versus is not None, horizontal=horizontal)
        found = replay(self, figure.request_for(chosen, request))
        if versus is None:
            return figure.draw_view(found, chosen, look, horizontal=horizontal)
        return figure.draw_two(found, lambda heads: replay(versus, replace(request, heads=heads)), look)

    def matrix(self, layer: int, head: int, unit: record.Unit = "word", *, special: bool = True) -> Matrix:
        """The weights of one head with the labels of rows and columns.

        Args:
            layer: the layer, by its own number.
            head: the head.
            unit: what rows and columns are.
            special: keep special tokens and punctuation, with which the rows sum to 1.

        Returns:
            ``values`` (queries, keys), ``rows`` and ``columns``; ``.to_pandas()`` is a frame of them.

        Raises:
            UsageError: a layer, head or unit that there is not.
        """
        from attnviz.analysis.text.aligned import named_map
        from attnviz.analysis.text.replaying import replay
        from attnviz.analysis.text.summary import summarise

        heads = record.Heads((layer,), (head,))
        summary = summarise(replay(self, record.Request(unit=unit, special=special, heads=heads)))
        shown = named_map(summary.observation, summary.units, summary.maps[0], "")
        return Matrix(shown.weights, shown.rows, shown.columns)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Attention:
        """Read a record that ``save`` or ``attnviz export`` wrote.

        Raises:
            InputError: the file is missing, damaged, no record, or an encoder–decoder's three maps.
        """
        found = record.read(Path(path), most=free_memory())
        if isinstance(found, record.EncoderDecoderRecord):
            raise InputError(
                f"{path} holds the three maps of an encoder–decoder", hint="Open it with EncoderDecoder.open."
            )
        return cls(**vars(found))


class EncoderDecoder(record.EncoderDecoderRecord, Saveable):
    """The three attentions of an encoder–decoder, each as a notebook wants it; it draws itself as the cross map."""

    encoder: Attention
    decoder: Attention
    cross: Attention

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> EncoderDecoder:
        """Read the three maps that ``save`` or ``attnviz export`` wrote.

        Raises:
            InputError: the file is missing, damaged, no record, or a single map.
        """
        found = record.read(Path(path), most=free_memory())
        if not isinstance(found, record.EncoderDecoderRecord):
            raise InputError(
                f"{path} holds one map, not the three of an encoder–decoder", hint="Open it with Attention.open."
            )
        return cls(**{name: Attention(**vars(each)) for name, each in vars(found).items()})

    def align(
        self,
        *,
        layer: int | Sequence[int] | None = None,
        head: int | Sequence[int] | None = None,
        step: Step = "reads",
        unit: AlignedUnit = "word",
    ) -> Table:
        """The source word that each target word stands for, as ``attnviz align`` finds it.

        Args:
            layer: the layers whose heads are averaged; the one that ``usual_layer`` says by default.
            head: the heads of these; all by default.
            step: whose row a target word has: the step that ``reads`` it, or that ``predicts`` it.
            unit: what is aligned: ``word``, ``token``, or what white space separates: ``space``.

        Raises:
            UsageError: a layer, head, step or unit that there is not.
        """
        from attnviz.analysis.text.replaying import replay
        from attnviz.analysis.text.word_alignment import REQUEST, align, alignment_table, cross_weights
        from attnviz.interface.tables import Table

        cross = cross_weights(replay(self, REQUEST), step=step, unit=unit)
        found = align(cross, record.Heads.of(layer, head), step)
        return Table.of(alignment_table([found], step=step, unit=unit, model=self.model))


def attention_of(
    model: str,
    backend: Native | Hosted,
    weights: Weights,
    kind: record.Kind,
    queries: Encoding,
    keys: Encoding | None = None,
    *,
    states: HiddenStates | None = None,
    note: str = "",
    prediction: record.Prediction | None = None,
    scores: Scores | None = None,
) -> Attention:
    """The record of one map of a run, from the ``weights`` that were kept of it."""
    from attnviz.attention.observers import as_array

    numbers = weights.layers(kind)
    found = Attention(
        model,
        backend.name,
        backend.causal(kind),
        queries,
        as_array(weights.stacked(kind)),
        kind,
        keys,
        numbers=() if numbers == tuple(range(len(numbers))) else numbers,
        note="; ".join(filter(None, (backend.note, note))),
        states=tuple(as_array(state) for state in states.each(kind)) if states else (),
        prediction=prediction,
    )
    if scores is None or scores.layers(kind) != numbers:
        return found
    biases, vectors = scores.biases(kind), scores.vectors(kind)
    queries_of, keys_of = map(as_array, vectors) if vectors else (None, None)
    return replace(
        found,
        scores=as_array(scores.products(kind)),
        scales=scores.scales(kind),
        softcaps=scores.softcaps(kind),
        biases=None if biases is None else as_array(biases),
        query_vectors=queries_of,
        key_vectors=keys_of,
    )
