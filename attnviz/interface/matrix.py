"""The weights of one head with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.errors import UsageError
from attnviz.record import Array


@dataclass(frozen=True, eq=False)
class Matrix:
    """The weights of one head.

    Attributes:
        values: the weights, (queries, keys).
        rows: the labels of the queries.
        columns: the labels of the keys.
    """

    values: Array
    rows: tuple[str, ...]
    columns: tuple[str, ...]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype, copy=copy)

    def to_pandas(self) -> Any:
        """The weights as a frame with the labels as index and columns.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas as pd  # type: ignore[import-untyped,unused-ignore]
        except ImportError:
            raise UsageError("pandas is not installed", hint="pip install pandas") from None
        return pd.DataFrame(self.values, index=list(self.rows), columns=list(self.columns))
