"""Run the sentences of a treebank and find the peaks of each: which word each word looks at most, in every head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attnviz.analysis.corpus.alone import run_alone
from attnviz.analysis.corpus.together import nobody, run_together
from attnviz.analysis.plan import part
from attnviz.attention.observers import Sliding
from attnviz.attention.peaks import Peaks, PeakUnits
from attnviz.encoding import Encoding, slide_windows
from attnviz.errors import AttnvizError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from attnviz.attention.texts import Bools
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native
    from attnviz.model.native.forward import Network


def find_peaks(
    backend: Native | Hosted,
    tokenizer: Tokenizer,
    encodings: Sequence[Encoding],
    *,
    causal: bool,
    keys: Sequence[Bools] | None = None,
    on_progress: Callable[[int, int], None] = nobody,
) -> list[Peaks | AttnvizError]:
    """The peaks of each of the ``encodings``, or its error, in order.

    Where our own forward pass runs the model, short ones run together; what is longer than the model is read in
    windows. Special tokens are no word's peak; nor is the first word of a text that has none in front, if the model is
    ``causal``: it is a sink in their place. Where ``keys`` say which words of each text may be looked at (W,), peaks
    are those of them that come before the word.
    """
    masks = [_keys(encoding, sinks=causal) for encoding in encodings] if keys is None else keys
    before = keys is not None
    found: dict[int, Peaks | AttnvizError] = {}
    long = dict(enumerate(encodings))
    if backend.name == "native" and not backend.interventions:
        kind = backend.kinds[0]
        short, long = part(encodings, -(-backend.heads[kind] // max(backend.layers[kind], 1)), backend.limit)
        of = {id(encoding): mask for encoding, mask in zip(encodings, masks, strict=True)}
        see = partial(_pack, masks=of, before=before)
        found |= zip(short, run_together(backend, [*short.values()], see, on_progress), strict=True)
    for i, encoding in long.items():
        seen = PeakUnits([word.start for word in encoding.words], masks[i], before=before)
        found[i] = _alone(backend, tokenizer, encoding, seen, causal=causal)
        on_progress(1, len(encoding))
    return [found[i] for i in range(len(encodings))]


def _pack(
    network: Network, encodings: Sequence[Encoding], *, masks: Mapping[int, Bools], before: bool
) -> tuple[Sequence[Peaks], Bools]:
    from attnviz.attention.pack_peaks import PackPeaks
    from attnviz.model.native.packed import run_packed

    edges = [[*(word.start for word in each.words), len(each)] for each in encodings]
    words = np.cumsum([0, *(len(each.words) for each in encodings)])
    keys = np.concatenate([masks[id(each)] for each in encodings])
    seen = PackPeaks(words, np.concatenate(edges), keys, before=before)
    run_packed(network, [each.ids for each in encodings], [each.type_ids for each in encodings], seen)
    return seen.peaks, seen.finite


def _keys(encoding: Encoding, *, sinks: bool) -> Bools:
    """Which words may be looked at (W,)."""
    keys = np.array([not encoding.special[word.start] for word in encoding.words])
    keys[0] &= not sinks
    return keys


def _alone(
    backend: Native | Hosted, tokenizer: Tokenizer, encoding: Encoding, seen: PeakUnits, *, causal: bool
) -> Peaks | AttnvizError:
    """The peaks of one text, in windows where it is longer than the model."""
    from attnviz.model.inputs import as_error

    try:
        if backend.limit is None or len(encoding) <= backend.limit:
            run_alone(backend, encoding, [seen])
        else:
            windows = slide_windows(tokenizer, encoding, limit=backend.limit, causal=causal)
            sliding = Sliding([seen], len(encoding), sinks=not causal or windows.lead > 0)
            for window in windows:
                sliding.enter(window)
                run_alone(backend, window.encoding, [sliding])
        return seen.peaks
    except (AttnvizError, RuntimeError, MemoryError) as error:  # such as a GPU that has no memory left
        return as_error(error)
