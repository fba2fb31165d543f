"""A summary as one JSON document, as the schema ``show`` describes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from attnviz.analysis.languages import function_words
from attnviz.analysis.table import Table
from attnviz.analysis.text.links import Attended, Link
from attnviz.analysis.text.long_range import LongRange, Passage, Profile
from attnviz.analysis.text.shown_maps import HeadMap
from attnviz.analysis.text.summary import Summary
from attnviz.analysis.text.units import Axis, Reading
from attnviz.encoding import Encoding
from attnviz.record import Array, Observation
from attnviz.record.prediction import prediction_facts
from attnviz.record.schemas import VERSIONS

if TYPE_CHECKING:
    from attnviz.model.check.judge import Check, LayerCheck
    from attnviz.model.check.report import GenerationCheck, Recomputed


def summary_document(summary: Summary, check: Check | None) -> dict[str, Any]:
    """Return everything that ``show`` prints; without a ``check`` that is null."""
    observation, units = summary.observation, summary.units
    return {
        "schema_version": VERSIONS["show"],
        **_observed(observation, units),
        "links": [_link(link) for link in summary.links],
        "special_share": _round(summary.special_share),
        "punctuation_share": _round(summary.punctuation_share),
        "positional_heads": [asdict(found) for found in summary.positional],
        "dominant_offset_heads": [asdict(found) for found in summary.dominant],
        "overview": {"cell": summary.cell, "values": _rows(summary.overview)},
        "maps": [_map(head, one_text=units.one_text) for head in summary.maps],
        "top_attended": [
            {"query": row.query, "query_index": row.query_index, **_looks(row, units)} for row in summary.attended
        ],
        "top_received": [
            {"key": row.query, "key_index": row.query_index, **_received(row, units)} for row in summary.received
        ],
        "long_range_links": [_long_range(band) for band in summary.long_range if summary.is_long],
        "distance_profile": _profile(summary.profile) if summary.profile and summary.is_long else None,
        "received": [_passage(passage) for passage in summary.passages if summary.is_long],
        "generated": [
            {
                "token": observation.tokens[row.query_index + 1],
                "token_index": row.query_index + 1,
                **_looks(row, units if observation.large else summary.pieces),
            }
            for row in summary.generated
        ],
        "check": check and check_document(check),
    }


def _observed(observation: Observation, units: Reading) -> dict[str, Any]:
    """What was read, by which model, and in which units it was observed."""
    return {
        "model": observation.model,
        "backend": observation.backend,
        "note": observation.note or None,
        "prediction": observation.prediction and prediction_facts(observation.prediction),
        "layers": observation.layers,
        "heads": observation.heads,
        "layer_numbers": list(observation.layer_numbers),
        "unobserved_layers": list(observation.unobserved),
        "map": observation.kind,
        "measure": {
            name: getattr(observation.measure, name) for name in ("name", "formula", "share", "by_layer", "source")
        },
        **_text(observation.encoding),
        "windows": [
            {"start": window.start, "stop": window.stop, "first_query": window.first, "last_query": window.last - 1}
            for window in observation.windows or ()
        ],
        "generated_tokens": observation.encoding.generated,
        "keys": None if observation.keys is None else _text(observation.keys),
        "unit": units.kind,
        "units": _units(units.queries, len(observation.encoding)),
        "key_units": None if observation.keys is None else _units(units.keys, len(observation.keys)),
        "per_token": observation.request.per_token,
        "threshold": observation.request.threshold,
        "from_generated": observation.request.generated,
        "weights_kept": "observed" if observation.whole is None else "all",
        "function_words": {"language": units.language, "known": bool(function_words(units.language))},
    }


def _text(encoding: Encoding) -> dict[str, Any]:
    return {
        "text": encoding.text,
        "pair": encoding.pair,
        "tokens": list(encoding.tokens),
        "words": [word.text for word in encoding.words],
        "word_spans": [[word.start, word.stop] for word in encoding.words],
        "dropped_tokens": encoding.dropped,
    }


def _map(head: HeadMap, *, one_text: bool) -> dict[str, Any]:
    return {
        "layer": head.layer,
        "head": "mean" if head.head is None else head.head,
        "indices": head.rows.tolist() if one_text else None,
        "query_indices": head.rows.tolist(),
        "key_indices": head.columns.tolist(),
        "down": head.down,
        "across": head.across,
        "weights": _rows(head.weights),
    }


def _long_range(band: LongRange) -> dict[str, Any]:
    links = [
        {
            **_link(found.link),
            "distance": found.distance,
            "query_place": asdict(found.query),
            "key_place": asdict(found.key),
        }
        for found in band.links
    ]
    return {"near": band.near, "far": band.far, "links": links}


def _passage(passage: Passage) -> dict[str, Any]:
    return asdict(passage) | {"received": _round(passage.received)}


def _profile(profile: Profile) -> dict[str, Any]:
    first = [_round(share) for share in profile.first]
    return {"edges": list(profile.edges), "first": first, "shares": _rows(profile.shares)}


def _looks(row: Attended, units: Reading) -> dict[str, Any]:
    return {
        "best": [
            {**_link(link), "baseline": _baseline(row.best_baselines, place)} for place, link in enumerate(row.best)
        ],
        "average": [
            {
                "key": units.keys.labels[key],
                "key_index": key,
                "weight": _round(weight),
                "baseline": _baseline(row.average_baselines, place),
            }
            for place, (key, weight) in enumerate(row.average)
        ],
    }


def _received(row: Attended, units: Reading) -> dict[str, Any]:
    return {
        "best": [_link(link) for link in row.best],
        "average": [
            {"query": units.queries.labels[query], "query_index": query, "weight": _round(weight)}
            for query, weight in row.average
        ],
    }


def _baseline(baselines: Sequence[float | None], place: int) -> float | None:
    baseline = baselines[place] if baselines else None
    return None if baseline is None else _round(baseline)


def _units(axis: Axis, tokens: int) -> list[dict[str, Any]] | None:
    """Return where units larger than words stand, of a text of so many tokens."""
    if not axis.lines:
        return None
    stops = (*axis.starts[1:].tolist(), tokens)
    columns = zip(axis.labels, axis.starts.tolist(), stops, axis.lines, axis.special.tolist(), strict=True)
    names = ("label", "start", "stop", "line", "special")
    return [dict(zip(names, row, strict=True)) for row in columns]


def check_document(check: Check) -> dict[str, Any]:
    """Return the verdict of the check and its numbers."""
    rounding = check.rounding
    return {
        "passed": check.passed,
        "max_abs_diff": _finite(check.max_abs_diff),
        "tolerance": check.tolerance,
        "compared": "weights" if check.heads else "hidden states",
        "heads": check.heads,
        "rows": {kind: asdict(rows) for kind, rows in check.rows.items()},
        "against": check.against,
        "of": "another run" if check.rerun else "what is shown",
        "inputs": {"differs": check.inputs.differs or None, "unknown": check.inputs.reason or None},
        "worst": {"map": check.worst.kind, "layer": check.worst.layer, "head": check.worst.worst_head},
        "dtype": check.dtype,
        "layers": [_layer(layer) for layer in check.layers],
        "rounding": rounding
        and {
            "times": _finite(rounding.times),
            "bound": rounding.bound,
            "worst": {"map": rounding.kind, "layer": rounding.layer, "head": rounding.head},
        },
        "recomputed": check.recomputed and _recomputed(check.recomputed),
        "wider": check.double and check_document(check.double),
        "written": check.written and _written(check.written),
        "logits": check.logits and asdict(check.logits) | {"passed": check.logits.passed},
    }


def _written(written: GenerationCheck) -> dict[str, Any]:
    differ = [
        asdict(choice) | {"apart": _finite(choice.apart), "explained": _finite(choice.explained)}
        for choice in written.differ
    ]
    return {"passed": written.wrong is None, "by": written.by, "compared": written.compared, "differ": differ}


def _recomputed(found: Recomputed) -> dict[str, Any]:
    apart = {"apart": _finite(found.apart), "what_differs_most": found.what}
    windows = found.windows and asdict(found.windows)
    return {"passed": found.passed, "heads": found.heads, "total": found.total, "windows": windows, **apart}


def _layer(layer: LayerCheck) -> dict[str, Any]:
    facts = {name: value for name, value in asdict(layer).items() if name not in ("kind", "rows")}
    return {"map": layer.kind} | {name: _finite(value) for name, value in facts.items()}


def _link(link: Link) -> dict[str, Any]:
    found = asdict(link) | {"weight": _round(link.weight)}
    lift = found.pop("lift")
    return found if lift is None else found | {"lift": _round(lift)}


def _round(number: float) -> float | None:
    """Round to seven significant digits, all that float32 holds; NaN, which JSON does not have, becomes null."""
    return None if np.isnan(number) else float(f"{number:.7g}")


def _finite(number: float | None) -> float | None:
    """Return null for infinity and NaN, which JSON does not have."""
    return None if number is None or not np.isfinite(number) else number


def _rows(array: Array) -> list[list[float | None]]:
    return [[_round(float(number)) for number in row] for row in array]


def table_document(table: Table) -> dict[str, Any]:
    """Return an answer, as the schema ``answer`` describes it."""
    return {
        "schema_version": VERSIONS["answer"],
        "answer": table.name,
        "title": table.title,
        "about": dict(table.about),
        "ranked": table.ranked or None,
        "columns": [{"name": each.name, "kind": each.kind, "about": each.about} for each in table.columns],
        "rows": [{name: _round(v) if isinstance(v, float) else v for name, v in row.items()} for row in table.rows()],
        "notes": list(table.notes),
    }
