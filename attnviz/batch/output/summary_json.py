"""The summary of a corpus as one JSON document, as the schema ``batch`` describes it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.accumulation import AMOUNTS, Corpus, Reason
from attnviz.analysis.corpus.distribution import ACCURACY, QUANTILES, SMALLEST, Distribution
from attnviz.analysis.corpus.modes import Modes
from attnviz.analysis.corpus.outliers import COMPARED, FAR, LEAST, Outlier
from attnviz.analysis.corpus.roles import RoleHeads
from attnviz.analysis.corpus.typical_links import LONG_WEIGHT, Occurrence, TypicalPair
from attnviz.analysis.languages import ENGLISH, function_words
from attnviz.analysis.text.offsets import MIN_QUERIES
from attnviz.record.schemas import VERSIONS
from attnviz.render.about import About

_LEFT_OUT = ("places.offset", "roles.positional", "outliers")
"""What short documents are left out of."""
_DIGITS = 6
"""Significant digits of all numbers: sums that are made in another order differ beyond these."""


def document(corpus: Corpus, found: tuple[RoleHeads, ...], about: About) -> dict[str, Any]:
    """All that the summary says, for programs. Arrays are (layers, heads), null where a head has no figure."""
    language = about.options.get("language", ENGLISH)
    return {
        "schema_version": VERSIONS["batch"],
        "run": asdict(about),
        "function_words": {"language": language, "known": bool(function_words(language))},
        "layers": list(corpus.layers),
        "heads": corpus.heads,
        "counts": {name: count for name, count in asdict(corpus.counts).items() if name != "short"}
        | {"measured": corpus.counts.measured},
        "tokens": {name: _round(float(values)) for name, values in statistics(corpus.tokens).items()},
        "left_out": {"documents": corpus.counts.short, "below_tokens": MIN_QUERIES, "of": list(_LEFT_OUT)},
        "quantiles_within": ACCURACY,
        "quantiles_from": SMALLEST,
        "metrics": {
            metric.name: {
                "unit": metric.unit,
                "meaning": metric.meaning,
                **{name: _rows(values) for name, values in statistics(corpus.figures[metric.name]).items()},
            }
            for metric in AMOUNTS
        },
        "places": {name: _mode(mode) for name, mode in corpus.modes.items()},
        "roles": [_role(each) for each in found],
        "induction": None if corpus.induction is None else _rows(corpus.induction.mean),
        "typical_links": [_typical(pair) for pair in corpus.typical],
        "longest_links": {"least_weight": LONG_WEIGHT, "links": [_link(link) for link in corpus.longest]},
        "outliers": {
            "compared": list(COMPARED),
            "least_deviations": FAR,
            "least_documents": LEAST,
            "documents": [_outlier(each) for each in corpus.outliers],
        },
        "failures": [_reason(each) for each in corpus.failures],
        "notes": [_reason(each) for each in corpus.notes],
    }


def statistics(figures: Distribution) -> dict[str, NDArray[Any]]:
    """All that is known of a figure, by the names of its columns."""
    return {
        "count": figures.count,
        "mean": figures.mean,
        "deviation": figures.deviation,
        **{f"q{100 * share:02.0f}": figures.quantile(share) for share in QUANTILES},
        "min": figures.minimum,
        "max": figures.maximum,
    }


def _mode(mode: Modes) -> dict[str, Any]:
    return {
        "place": np.where(mode.share > 0, mode.value, np.array(None)).tolist(),
        "share": _rows(mode.share),
        "documents": mode.documents.tolist(),
    }


def _role(found: RoleHeads) -> dict[str, Any]:
    role = found.role
    return {
        "role": role.name,
        "score": role.score,
        "threshold": role.threshold,
        "above": role.above,
        "source": role.source,
        **{
            name: None if values is None else _rows(values)
            for name, values in (("scores", found.scores), ("low", found.low), ("high", found.high))
        },
        "heads": [asdict(head) | {"score": _round(head.score)} for head in found.heads],
    }


def _link(link: Occurrence) -> dict[str, Any]:
    return asdict(link) | {"weight": _round(link.weight)}


def _typical(pair: TypicalPair) -> dict[str, Any]:
    return {
        "documents": pair.documents,
        "missed_at_most": pair.missed,
        "by_chance": _round(pair.expected),
        "mean_weight": _round(pair.weight),
        "strongest": _link(pair.strongest),
    }


def _outlier(found: Outlier) -> dict[str, Any]:
    numbers = {name: _round(getattr(found, name)) for name in ("value", "typical", "far")}
    return {**asdict(found.where), "metric": found.metric, **numbers}


def _reason(found: Reason) -> dict[str, Any]:
    return {"reason": found.text, "documents": found.documents, "first": asdict(found.first)}


def _rows(values: NDArray[Any]) -> list[list[float | int | None]]:
    return [[_round(value) for value in row] for row in values.tolist()]


def _round(value: float) -> float | int | None:
    if isinstance(value, int):
        return value
    return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None
