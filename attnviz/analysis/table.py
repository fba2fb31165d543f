"""The answer to a question: a small frozen table with named columns, which every view and file is made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attnviz.errors import UsageError, did_you_mean

Kind = Literal["text", "number", "count", "weight", "share", "lift", "score", "change", "part"]
"""What the values of a column are, and so how a reader sees them.

``text``; a ``number`` in the unit that the column names; a ``count`` of things; a ``weight`` or a ``share`` of
attention from 0 to 1; a ``lift``, how many times as much as expected; a ``score`` from −1 to 1; a
``change`` of a number, with its sign; a ``part`` of a difference, which may also be below 0 or above 1.
"""


def written(value: float | None, kind: Kind) -> str:
    """A number as a reader sees it, with − before it where it is below 0; a dash for one that there is not."""
    if value is None or value != value:
        return "–"
    return _digits(value, kind).replace("-", "−")


def _digits(value: float, kind: Kind) -> str:
    if kind == "count":
        return f"{value:,}"
    if kind == "share":
        return f"{100 * value:.1f}%"
    if kind == "part":
        return f"{100 * value:+.1f}%" if abs(value) >= 0.0005 else "0.0%"
    if kind == "lift":
        return f"{value:.1f}×" if value < 100 else f"{value:,.0f}×"
    if kind == "weight" and 0 < value < 0.005:  # two digits would say that it is nothing
        return f"{value:.4f}" if value >= 0.00005 else "<0.0001"
    if kind == "change":  # what rounds to nothing has no sign
        return f"{value:+.3f}" if abs(value) >= 0.0005 else "0.000"
    if kind != "number":
        return f"{value:.2f}"
    digits, _, exponent = f"{value:.3g}".partition("e")
    return f"{digits}e{int(exponent)}" if exponent else digits


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its name, in frames, files and JSON.
        about: what its values are, in one sentence, with the source of the formula.
        kind: how they are shown.
        shown: whether a terminal shows it: a column that only repeats others is for programs.
        of: the column of which it says where the value comes from; empty for one that says what the row is.
    """

    name: str
    about: str
    kind: Kind = "text"
    shown: bool = True
    of: str = ""

    @property
    def signed(self) -> bool:
        """Whether the sign of a value says as much as its size."""
        return self.kind in ("change", "part")


@dataclass(frozen=True, eq=False)
class Table:
    """The answer to one question.

    Attributes:
        name: the command that asks it, such as ``find``.
        title: what it answers, for a reader.
        columns: the columns, in order.
        values: the values of each column by name, (rows,) each.
        ranked: the column by which the rows are in order; empty if they are in none.
        about: what the answer is of: ``model``, ``text`` and what else was given.
        notes: what a reader must know of it, a sentence each.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    values: Mapping[str, NDArray[Any]]
    ranked: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Put the values in the order of the columns; raise a ``ValueError`` if they do not fit them."""
        lengths = {len(self.values[column.name]) for column in self.columns}
        if len(lengths) > 1 or {column.name for column in self.columns} != set(self.values):
            raise ValueError(f"{self.name}: columns and values do not fit")
        object.__setattr__(self, "values", {each.name: self.values[each.name] for each in self.columns})

    def __len__(self) -> int:
        return len(next(iter(self.values.values()), ()))

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The values of a column.

        Raises:
            UsageError: there is no such column.
        """
        if name not in self.values:
            near = did_you_mean(name, self.values)
            raise UsageError(f"there is no column {name!r}", hint=f"{near}Columns are {', '.join(self.values)}.")
        return self.values[name]

    def column(self, name: str) -> Column:
        """The description of a column."""
        return next(column for column in self.columns if column.name == name)

    @property
    def of_heads(self) -> bool:
        """Whether the rows are about heads."""
        return {"layer", "head"} <= set(self.values) and None not in self.values["head"]

    @property
    def heads(self) -> Table:
        """The rows that are about heads."""
        if self.of_heads or "head" not in self.values:
            return self
        return self.take(np.array([row for row, head in enumerate(self["head"]) if head is not None], np.intp))

    def take(self, rows: Sequence[int] | NDArray[np.intp] | slice) -> Table:
        """The table of some rows, in their order."""
        return replace(self, values={name: values[rows] for name, values in self.values.items()})

    def without(self, *names: str) -> Table:
        """The table without some columns."""
        kept = tuple(each for each in self.columns if each.name not in names)
        return replace(self, columns=kept, values={each.name: self.values[each.name] for each in kept})

    def top(self, most: int | None) -> Table:
        """The first ``most`` rows; None: all."""
        return self.take(slice(most))

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows as values of Python; NaN is None."""
        columns = {name: [_plain(value) for value in values.tolist()] for name, values in self.values.items()}
        return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))

    def to_pandas(self) -> Any:
        """The table as a frame of pandas.

        Raises:
            UsageError: pandas is not installed.
        """
        return _frame("pandas")(dict(self.values))

    def to_polars(self) -> Any:
        """The table as a frame of polars.

        Raises:
            UsageError: polars is not installed.
        """
        return _frame("polars")({name: _listed(values) for name, values in self.values.items()})

    def to_arrow(self) -> Any:
        """The table as a ``pyarrow.Table``; its metadata have the title, the notes and what it is of.

        Raises:
            UsageError: pyarrow is not installed.
        """
        try:
            import pyarrow as pa
        except ImportError:
            raise UsageError("pyarrow is not installed", hint="pip install 'attnviz[batch]'") from None
        fields = [
            pa.field(column.name, pa.array(_listed(self.values[column.name])).type, metadata={"about": column.about})
            for column in self.columns
        ]
        about = {"attnviz": self.name, "title": self.title, "notes": "\n".join(self.notes)}
        about |= {f"attnviz.{name}": str(value) for name, value in self.about.items()}
        return pa.table([_listed(self.values[each.name]) for each in fields], pa.schema(fields, about))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The table for any library that reads Arrow's C stream interface."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)


def ranked_by(table: Table, name: str, *, falling: bool = True) -> Table:
    """The table with its rows in order of a column; rows without a value (NaN) come last, equal ones stay in order."""
    keys = np.asarray(table[name], np.float64)
    order = np.argsort(-keys if falling else keys, kind="stable")
    return replace(table.take(order), ranked=name)


def by_size(table: Table, name: str) -> Table:
    """The table with its rows in order of the size of a column, whatever its sign; rows without a value come last.

    Raises:
        UsageError: there is no such column, or it has no numbers.
    """
    values = table[name]
    if values.dtype.kind not in "fiu":
        raise UsageError(f"rows can't be ranked by {name!r}, which has no numbers")
    keys = np.nan_to_num(abs(np.asarray(values, np.float64)), nan=-1)
    return replace(table.take(np.argsort(-keys, kind="stable")), ranked=name)


def head_columns(layers: Sequence[int], heads: int, of: str = "the head") -> tuple[tuple[Column, ...], dict[str, Any]]:
    """The columns ``layer`` and ``head`` of a table that has a row for each head, layer by layer."""
    columns = Column("layer", f"the layer of {of}", "count"), Column("head", "the head", "count")
    return columns, {
        "layer": np.repeat(np.asarray(layers, np.int64), heads),
        "head": np.tile(np.arange(heads), len(layers)),
    }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _listed(values: NDArray[Any]) -> Any:
    """Texts as a list: libraries of frames know no arrays of objects."""
    return values.tolist() if values.dtype.kind in "OU" else values


def _frame(library: str) -> Any:
    import importlib

    try:
        return importlib.import_module(library).DataFrame
    except ImportError:
        raise UsageError(f"{library} is not installed", hint=f"pip install {library}") from None
