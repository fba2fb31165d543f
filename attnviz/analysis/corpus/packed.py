"""Measure many short documents together: figures of all heads and strongest links, as if each was run alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from attnviz.analysis.corpus.metrics import Measured, WordLinks, stacked
from attnviz.analysis.text.offsets import DOMINANT, MANY_QUERIES, MIN_QUERIES, POSITIONAL
from attnviz.analysis.text.units import is_function_word
from attnviz.encoding import Encoding, Word, is_blank, is_punctuation
from attnviz.errors import AttnvizError, InputError, ModelError
from attnviz.record import Request

if TYPE_CHECKING:
    from attnviz.attention.packs import Marks, PackLayer
    from attnviz.attention.texts import Texts
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native
    from attnviz.model.native.forward import Network

Found = Measured | AttnvizError


def nobody(*_: int) -> None:
    """A callback for progress that does nothing."""


def measure(
    backend: Native | Hosted,
    encodings: Sequence[Encoding],
    request: Request,
    on_progress: Callable[[int, int], None] = nobody,
    *,
    many: bool = True,
) -> list[Found]:
    """Measure each of the ``encodings``; return the results in their order, or the error of a document.

    Where our own forward pass runs the model, short documents run together, in packs of as many tokens as is fast:
    memory is bounded by these, not by how many documents there are. Of an encoder–decoder the encoder is measured.
    What happens to one document does not touch the others. ``on_progress`` is told after each pack how many more
    documents and tokens are done. Unless there are ``many`` documents, the compiled passes are not worth their loading.
    """
    import torch

    from attnviz.attention.pipeline import in_order
    from attnviz.model.native.backend import Native
    from attnviz.model.native.packed import pack

    if not isinstance(backend, Native):
        return [_told(on_progress, encoding, _hosted(backend, encoding, request)) for encoding in encodings]
    network = backend.network.encoder or backend.network
    refused = [_refused(network, encoding) for encoding in encodings]
    found: dict[int, Found] = {number: error for number, error in enumerate(refused) if error}
    on_progress(len(found), 0)
    fit = [number for number, error in enumerate(refused) if not error]
    threads = torch.get_num_threads() if network.device.type == "cpu" else 1
    packs = [[fit[i] for i in numbers] for numbers in pack([len(encodings[number]) for number in fit], threads)]
    several = min(threads, len(packs)) if len(packs) > 1 else 1
    buffers = [torch.empty(0)] * (several + 1)  # packs have memory of their own
    results = in_order(
        lambda numbers, _: _together(network, [encodings[number] for number in numbers], request, many),
        packs,
        buffers,
        several,
    )
    for numbers, pack_found in zip(packs, results, strict=True):
        found |= zip(numbers, pack_found, strict=True)
        on_progress(len(numbers), sum(len(encodings[number]) for number in numbers))
    return [found[number] for number in range(len(encodings))]


def _told(on_progress: Callable[[int, int], None], encoding: Encoding, found: Found) -> Found:
    on_progress(1, len(encoding))
    return found


def _refused(network: Network, encoding: Encoding) -> AttnvizError | None:
    """The error if the network can't read the document; else None."""
    from attnviz.model.inputs import require_fit

    embedding, limit = network.spec.embedding, network.spec.limit
    try:
        require_fit(encoding, embedding.vocabulary, embedding.types)
    except AttnvizError as error:
        return error
    if limit is not None and len(encoding) > limit:
        return InputError(f"the text has {len(encoding)} tokens, the model takes {limit}")
    return None


def _together(network: Network, encodings: Sequence[Encoding], request: Request, many: bool) -> Sequence[Found]:
    """Measure a pack; if it fails as a whole, measure its halves, and in the end each document alone."""
    from attnviz.model.inputs import as_error

    try:
        return _pack(network, encodings, request, many)
    except (RuntimeError, MemoryError) as error:
        if len(encodings) == 1:
            return [as_error(error)]
    half = len(encodings) // 2
    halves = encodings[:half], encodings[half:]
    return [found for some in halves for found in _together(network, some, request, many)]


def _pack(network: Network, encodings: Sequence[Encoding], request: Request, many: bool) -> Sequence[Found]:
    from attnviz.attention.packs import Measure
    from attnviz.model.inputs import not_finite
    from attnviz.model.native.packed import run_packed

    seen = Measure(marks(encodings, request, causal=network.spec.causal), request.links, compiled=many)
    ids, type_ids = [each.ids for each in encodings], [each.type_ids for each in encodings]
    run_packed(network, ids, type_ids, seen, compiled=many)
    layers = [layer for _, layer in sorted(seen.layers.items())]
    found = _documents(layers, seen.texts)
    finite = np.logical_and.reduce([layer.finite for layer in layers])
    if finite.all():
        return found
    why = not_finite(network.tensors)
    return [one if good else ModelError(why.message, hint=why.hint) for one, good in zip(found, finite, strict=True)]


def _hosted(backend: Hosted, encoding: Encoding, request: Request) -> Found:
    """Measure a document from all of its weights, as a hosted model gives them."""
    from attnviz.attention.observers import Only, Weights
    from attnviz.attention.packs import Group, Measure

    kind, kept = backend.kinds[0], Weights()
    start = Encoding("", None, (backend.start or 0,), (0,), ("",), (True,), (Word("", 0, 1),))
    try:
        backend.run(encoding, [Only(kind, [kept])], start if len(backend.kinds) > 1 else None)
        seen = Measure(marks([encoding], request, causal=backend.causal(kind)), request.links)
        group = Group(0, 0, 1, len(encoding))
        for layer in kept.layers(kind):
            seen.weights(layer, kept.window(layer, kind), group, kept.layer(layer, kind)[None])
        return _documents([layer for _, layer in sorted(seen.layers.items())], seen.texts)[0]
    except AttnvizError as error:
        return error


def _documents(layers: Sequence[PackLayer], texts: Texts) -> list[Measured]:
    """The results of each document of a pack.

    Raises:
        UnsupportedModel: the layers have not the same number of heads.
    """
    from attnviz.attention.figures import figures as read_figures
    from attnviz.attention.tile import require_equal_heads

    require_equal_heads(len(layer.sums.counts) for layer in layers)
    tables = [stacked(read_figures(layer.sums, texts)) for layer in layers]  # (H, B, METRICS) each
    figures = np.stack(tables).transpose(2, 0, 1, 3)  # (L, H, B, METRICS) → (B, L, H, METRICS)
    columns = [np.stack([getattr(layer, name) for layer in layers], axis=1) for name in _LINK]  # (B, L, top) each
    numbers = np.broadcast_to(np.arange(len(layers), dtype=np.int16)[:, None], columns[0].shape[1:])
    found = []
    for own, *links in zip(figures, *columns, strict=True):
        there = links[-1] > 0
        found.append(Measured(own, WordLinks(numbers[there], *(column[there] for column in links))))
    return found


_LINK = ("heads", "queries", "keys", "weights")


def marks(encodings: Sequence[Encoding], request: Request, *, causal: bool) -> Marks:
    """The masks of the documents of a pack, for the self-attention of a model that is ``causal`` or not."""
    from attnviz.attention.packs import Marks, OffsetRules
    from attnviz.attention.texts import Texts, earlier_tokens

    starts, lead, tail, words = [0], [], [], [0]
    before, edges = list[int](), list[int]()
    special, punctuation, query_mask, key_mask = (list[bool]() for _ in range(4))
    for encoding in encodings:
        n, marked = len(encoding), encoding.special
        text = [i for i, mark in enumerate(marked) if not mark]
        first, stop = (text[0], text[-1] + 1) if text else (n, n)
        lead += [i < first for i in range(n)]
        tail.append(stop)
        starts.append(starts[-1] + n)
        special += marked
        before += earlier_tokens(encoding.ids)
        counted = len(key_mask)
        for word in encoding.words:
            (dots, function), mark = _class(word.text, request.language), marked[word.start]
            parts = zip(marked[word.start : word.stop], encoding.tokens[word.start : word.stop], strict=True)
            punctuation += [(dots or is_blank(token)) and not one for one, token in parts]
            # As ``links.counting`` says.
            content = (request.special or not (mark or dots)) and (mark or not function)
            query_mask.append(content or request.everything)
            edges.append(word.start)
        key_mask += query_mask[counted:]
        if causal and not (request.special or request.everything):
            key_mask[counted] = False
        edges.append(n)
        words.append(len(query_mask))
    least, many = (_NEVER, _NEVER) if request.everything else (MIN_QUERIES, MANY_QUERIES)
    starts_, tail_, before_, words_, edges_ = (
        np.array(each, np.int64) for each in (starts, tail, before, words, edges)
    )
    lead_, special_, punctuation_, looking, looked_at = (
        np.array(each, np.bool_) for each in (lead, special, punctuation, query_mask, key_mask)
    )
    behind = np.arange(starts[-1]) >= np.repeat(starts_[:-1] + tail_, np.diff(starts_))
    sets = {"cls": lead_, "sep": behind, "special": special_, "punctuation": punctuation_}
    all_ = np.ones(len(special_), np.bool_)
    texts = Texts(starts_, starts_, all_, ~special_, tail_, sets, before_, causal)
    rules = OffsetRules(least, POSITIONAL, many, DOMINANT)
    return Marks(texts, words_, edges_, looking, looked_at, itself=request.everything, rules=rules)


_NEVER = 1 << 31
"""More tokens than any text has."""


@lru_cache(maxsize=1 << 16)
def _class(word: str, language: str) -> tuple[bool, bool]:
    """Whether a word is punctuation, and whether a function word."""
    return is_punctuation(word), is_function_word(word, language)
