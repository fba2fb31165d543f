"""Find the part of a map that a ``Crop`` names."""

from __future__ import annotations

from attnviz.analysis.text.links import only_unit
from attnviz.analysis.text.units import Axis, Reading
from attnviz.errors import UsageError
from attnviz.record import Crop
from attnviz.record.request import Span


def spans(crop: Crop, units: Reading) -> tuple[tuple[int, int], tuple[int, int]]:
    """The first unit and the end of the rows and of the columns of ``crop``.

    Raises:
        UsageError: the text has fewer units, or the range is empty; the message says how many units there are. Or the
            text does not have the word, or has it several times.
    """
    return (
        _span("rows", crop.rows, units.queries, units.kind),
        _span("columns", crop.columns, units.keys, units.kind),
    )


def _span(what: str, span: Span | str, axis: Axis, unit: str) -> tuple[int, int]:
    if isinstance(span, str):
        place = only_unit(axis, span, unit)
        return place, place + 1
    size = len(axis)
    start, stop = span[0] or 0, size if span[1] is None else span[1]
    if start < stop <= size:
        return start, stop
    wanted = f"{start}:{'' if span[1] is None else stop}"
    why = "the range is empty" if start >= stop and stop != size else f"there are {size:,} {unit}s"
    raise UsageError(f"no {what} {wanted}: {why}", hint=f"They are numbered from 0 to {size - 1}.")
