"""Check what an observation shows of a long text against transformers' own weights.

In every layer and head, the weights of some queries, which were kept in the observed run, are compared, and the links
of these queries. For some heads, drawn from all layers, everything is compared: each figure, link, map cell, and what
each key receives are recomputed from all rows of transformers' eager attention, by the definitions in ``plain``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from attnviz.analysis.check.differences import Tolerance
from attnviz.analysis.check.examined import Examined, Piece, evidence_of
from attnviz.analysis.text.summary import summarise
from attnviz.checkpoint import Checkpoint
from attnviz.encoding import Encoding
from attnviz.model.backends import WIDER, Options
from attnviz.model.check.comparing import compare_layer, summarise_layers
from attnviz.model.check.drawing import ALL_WINDOWS, ROWS, sample_heads
from attnviz.model.check.judge import Judge, explaining
from attnviz.model.check.references import contradicts_itself, examine_by_either
from attnviz.model.check.report import COARSE, Against, Check, Recomputed, RowCounts, WindowCounts, tolerance_of
from attnviz.model.check.sampling import OnLayerChecked, require_biases
from attnviz.model.hosted import Hosted, why_not_hostable
from attnviz.model.native.backend import Native
from attnviz.record import Heads, Observation


def pieces_of(observation: Observation) -> tuple[list[Piece], bool]:
    """The parts of an observation's text that transformers reads, and whether they are all of it."""
    evidence, windows = evidence_of(observation), observation.windows
    kept = {rows.window or 0: rows.queries for rows in evidence.rows}
    if not windows:
        rows = torch.from_numpy(kept[0])
        more = [token for token in _printed(observation) if token not in set(kept[0].tolist())][:ROWS]
        all_ = torch.cat((rows, torch.tensor(more, dtype=torch.long)))
        return [Piece(0, None, texts_of(observation), all_, len(rows))], True
    every = len(windows) <= ALL_WINDOWS
    pieces = []
    for number in range(len(windows)) if every else sorted(kept):
        rows, window = torch.from_numpy(kept.get(number, np.zeros(1, np.int64))), windows[number]
        pieces.append(Piece(number, window, (window.encoding, None), rows, len(rows)))
    return pieces, every


def _printed(observation: Observation) -> Iterator[int]:
    """The tokens of the units that are queries of the links that ``show`` prints."""
    apart = observation.large or observation.request.generated or not observation.measure.plain
    if not observation.maps.layers or apart:
        return
    summary = summarise(observation, heads=Heads(observation.maps.layers[:1]))
    units = [link.query_index for link in summary.links]
    units += [far.link.query_index for band in summary.long_range for far in band.links]
    for unit in dict.fromkeys(units):
        word = observation.encoding.words[unit] if observation.unit == "word" else None
        yield from range(word.start, word.stop) if word else (unit,)


def texts_of(observation: Observation) -> tuple[Encoding, Encoding | None]:
    """The input of the model, and that of its decoder, if it has an encoder too."""
    other = evidence_of(observation).other
    match observation.kind:
        case "cross":
            return observation.key_encoding, observation.encoding
        case "encoder":
            return observation.encoding, other
        case "decoder":
            return other or observation.encoding, observation.encoding
    return observation.encoding, None


def heads_of(observation: Observation, pieces: Sequence[Piece], *, every: bool) -> dict[int, list[int]]:
    """The heads of each layer that are compared in full; none unless ``every`` window is read."""
    weights = sum(len(piece.window.encoding) ** 2 for piece in pieces if piece.window)
    weights = weights or observation.shape[2] * observation.shape[3]
    none: dict[int, list[int]] = {number: [] for number in (*observation.layer_numbers, *observation.unobserved)}
    if not every or not observation.measure.plain:
        return none
    return none | sample_heads(observation.layer_numbers, observation.shape[1], weights)


def rows_of(observation: Observation) -> RowCounts:
    """The number of queries whose weights are compared."""
    kept = observation.evidence.rows if observation.evidence else ()
    return RowCounts(sum(len(rows.queries) for rows in kept), observation.shape[2])


def check_observation(
    observation: Observation,
    checkpoint: Checkpoint,
    options: Options,
    backend: Native | Hosted,
    judge: Judge,
    progress: OnLayerChecked | None = None,
) -> Check:
    """Compare an observation of the model ``backend`` with transformers' model, both run with the same ``options``.

    Raises:
        NoReferenceWeights: transformers' attention gives no weights to compare with.
        InputError: there is no memory for what transformers' model needs.
        UnsupportedModel, ModelError: as ``Hosted.run``.
    """
    alone = why_not_hostable(checkpoint.config) if isinstance(backend, Native) else None
    if isinstance(backend, Native) and not observation.windows:
        require_biases(backend, *texts_of(observation), options.dtype)
    pieces, every = pieces_of(observation)
    heads = heads_of(observation, pieces, every=every)

    def examine(
        judge: Hosted,
        tolerance: Tolerance,
        heads: Mapping[int, Sequence[int]],
        by: Against,
        layers: Mapping[int, Tolerance] | None = None,
    ) -> Examined:
        found = Examined(observation, tolerance, heads, layers)
        with explaining(alone):
            found.look(judge, pieces, progress, whole=alone is not None, by=by)
        found.end(every=every)
        return found

    tolerance = Tolerance.of(COARSE if checkpoint.quantised else tolerance_of(options.dtype))
    near = judge.of(options, backend)
    found, by = examine_by_either(
        lambda by: examine(near, tolerance, heads, by),
        lambda found: _verdict(observation, found, pieces, options.dtype).agrees,
        lambda: (
            alone is not None and contradicts_itself(near, pieces[0].texts, observation.kind, observation.layer_numbers)
        ),
    )
    result = replace(_verdict(observation, found, pieces, options.dtype), against=by)
    if result.passed or options.dtype not in WIDER or checkpoint.quantised:
        return result
    wider = replace(options, dtype=WIDER[options.dtype])
    exact = judge.of(wider, None)
    rows = examine(exact, tolerance, dict.fromkeys(heads, ()), by).theirs
    layers = {
        number: tolerance.by_rounding(
            {place: theirs for place, theirs in found.theirs.items() if place[1] == number}, rows
        )
        for number in observation.layer_numbers
    }
    again = examine(exact, tolerance.by_rounding(found.theirs, rows), heads, by, layers)
    double = replace(_verdict(observation, again, pieces, wider.dtype), against=by)
    rounding = found.rounding(rows, double.dtype)
    return replace(result, double=double, recomputed=double.recomputed, rounding=rounding)


def _verdict(observation: Observation, found: Examined, pieces: Sequence[Piece], dtype: torch.dtype) -> Check:
    rows = rows_of(observation)
    compared = []
    for number in observation.layer_numbers:
        parts = [
            found.apart[piece.number, number].flatten(1) for piece in pieces if (piece.number, number) in found.apart
        ]
        compared.append(compare_layer(observation.kind, number, torch.cat(parts, 1)[:, None], (None, 0.0), rows))
    count = sum(map(len, found.heads.values()))
    differences = found.differences
    windows = None
    if not observation.measure.plain:
        return summarise_layers(compared, dtype)
    if observation.windows:
        windows = WindowCounts(len(pieces), len(evidence_of(observation).rows), len(observation.windows))
    recomputed = Recomputed(
        count, observation.layers * observation.heads, differences.apart, differences.worst, windows
    )
    return replace(summarise_layers(compared, dtype), tolerance=differences.tolerance.weight, recomputed=recomputed)
