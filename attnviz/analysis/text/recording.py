"""The record of a text: what its observers kept."""

from __future__ import annotations

import numpy as np

from attnviz.analysis.text.observers import TextObservers
from attnviz.analysis.text.others import sum_others
from attnviz.analysis.text.tables import found_in, regions_in
from attnviz.analysis.text.usual import usual_of
from attnviz.attention.figures import EDGES
from attnviz.record import Backend, KeySpan, Observation, Others, Usual

FIGURES = (
    "entropy", "normalised_entropy", "distance", "signed_distance", "self", "previous", "next", "largest", "first",
    "special", "punctuation", "offset", "offset_share", "sink",
)  # fmt: skip
"""The figures of heads that are shown of a text."""


def record_of(kept: TextObservers, name: str, backend: Backend) -> Observation:
    """What the observers have ``kept`` of a text, in the model called ``name``."""
    source, numbers = kept.source, kept.seeing.layers()
    made, named = (table.found() if table else (None, None) for table in (kept.made, kept.named))
    figures = kept.stats.figures
    distances = tuple(edge for edge in EDGES if edge < len(source.encoding))
    links, bands, maps, average = found_in(kept.seeing)
    return Observation(
        model=name,
        backend=backend,
        causal=source.causal,
        encoding=source.encoding,
        request=kept.request,
        query_mask=kept.query_mask,
        key_mask=kept.key_mask,
        itself=kept.itself,
        links=links,
        edges=kept.edges,
        bands=bands,
        figures={name: np.nan_to_num(figures[name]) for name in FIGURES},
        profile=kept.stats.profile[..., : len(distances) + 1],
        distances=distances,
        received=kept.stats.received(others=True).astype(np.float32),
        passages=kept.passages,
        maps=maps,
        regions=regions_in(kept.seeing),
        asked=kept.asked,
        average=named[1] if kept.named else average if kept.asked else None,
        made=made[0],
        made_average=made[1],
        named_links=named[0],
        within=kept.looking.queries_mask,
        looking=kept.looking.units_mask,
        others=_others(kept, numbers) if kept.large else None,
        layer_windows=kept.layer_windows.found,
        kind=source.kind,
        keys=source.keys,
        numbers=() if numbers == tuple(range(len(numbers))) else numbers,
        usual=_found_usual(kept, [kept.layer_windows.found[each] for each in numbers]),
        windows=source.windows,
        window_sinks=kept.window_sinks,
    )


def _found_usual(kept: TextObservers, windows: list[KeySpan]) -> Usual | None:
    sizes = len(kept.source.encoding), len(kept.source.key_encoding)
    return usual_of(kept.usual, kept.units, sizes, kept.seen, windows, share=kept.share) if kept.usual else None


def _others(kept: TextObservers, numbers: tuple[int, ...]) -> Others:
    """What each unit gets from the queries outside of it."""
    return sum_others(
        kept.everyone.received(others=True),
        kept.seen,
        [kept.layer_windows.found[number] for number in numbers],
        len(kept.source.encoding),
        per_token=kept.request.per_token,
        one_text=kept.source.keys is None,
    )
