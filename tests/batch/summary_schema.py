"""``summary.json`` as a JSON schema: its names are promised to stay."""

from __future__ import annotations

from typing import Any

from attnviz.analysis.corpus.accumulation import AMOUNTS
from tests.render.schema import INDEX, TEXT, list_of, object_of

_NUMBER = {"type": "number"}
_MAYBE = {"type": ["number", "null"]}
_COUNT = {"type": "integer", "minimum": 0}
_GRID = list_of(list_of(_MAYBE))
_COUNTS = list_of(list_of(_COUNT))
_NAMES = ("mean", "deviation", "q05", "q25", "q50", "q75", "q95", "min", "max")

_AT = {"type": ["integer", "null"], "minimum": 1}
_WHERE = {"document": INDEX, "source": TEXT, "line": _AT, "tokens": _COUNT, "row": _AT}
_LINK = object_of(document=INDEX, layer=INDEX, head=INDEX, query=TEXT, key=TEXT, distance={"type": "integer"},
                weight=_NUMBER)  # fmt: skip
_PLACE = object_of(place=list_of(list_of({"type": ["integer", "null"]})), share=_GRID, documents=_COUNTS)
_ROLE = object_of(
    role=TEXT,
    score=TEXT,
    threshold=_NUMBER,
    above={"type": "boolean"},
    source=TEXT,
    scores={"anyOf": [_GRID, {"type": "null"}]},
    heads=list_of(object_of(layer=INDEX, head=INDEX, score=_NUMBER, detail=TEXT)),
)
_REASON = object_of(reason=TEXT, documents=_COUNT, first=object_of(**_WHERE))
_METRIC = object_of(unit=TEXT, meaning=TEXT, count=_COUNTS, **dict.fromkeys(_NAMES, _GRID))
_STRINGS = {"type": "object", "additionalProperties": TEXT}

SUMMARY: dict[str, Any] = object_of(
    run=object_of(
        model=TEXT,
        backend=TEXT,
        dtype=TEXT,
        inputs=list_of(TEXT),
        revision=TEXT,
        device=TEXT,
        check=TEXT,
        passed={"type": ["boolean", "null"]},
        options=_STRINGS,
        versions=_STRINGS,
        started=TEXT,
        seconds=_NUMBER,
    ),
    function_words=object_of(language=TEXT, known={"type": "boolean"}),
    layers=list_of(INDEX),
    heads=_COUNT,
    counts=object_of(documents=_COUNT, failed=_COUNT, words=_COUNT, tokens=_COUNT, links=_COUNT, measured=_COUNT),
    tokens=object_of(count=_COUNT, **dict.fromkeys(_NAMES, _MAYBE)),
    left_out=object_of(documents=_COUNT, below_tokens=_COUNT, of=list_of(TEXT)),
    quantiles_within=_NUMBER,
    quantiles_from=_NUMBER,
    metrics=object_of(**{metric.name: _METRIC for metric in AMOUNTS}),
    places=object_of(offset=_PLACE, sink_position=_PLACE, received_position=_PLACE),
    roles=list_of(_ROLE),
    induction={"anyOf": [_GRID, {"type": "null"}]},
    typical_links=list_of(
        object_of(documents=_COUNT, missed_at_most=_COUNT, by_chance=_NUMBER, mean_weight=_NUMBER, strongest=_LINK)
    ),
    longest_links=object_of(least_weight=_NUMBER, links=list_of(_LINK)),
    outliers=object_of(
        compared=list_of(TEXT),
        least_deviations=_NUMBER,
        least_documents=_COUNT,
        documents=list_of(object_of(**_WHERE, metric=TEXT, value=_NUMBER, typical=_NUMBER, far=_NUMBER)),
    ),
    failures=list_of(_REASON),
    notes=list_of(_REASON),
)
