"""What a run keeps so that its record can say where information comes from: norms, rollout, flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnviz.analysis.text.measures import ALONG_PATHS, along_paths, made_of, one_stack_error
from attnviz.errors import UsageError
from attnviz.interface.records import Attention
from attnviz.record import WeightsName, measure_of
from attnviz.record.measure import require_measure

if TYPE_CHECKING:
    from attnviz.attention.kernel import Observer
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native


class Measuring:
    """Makes a record of ``name`` from the record of a run's attention, and from what its ``observers`` kept."""

    def __init__(self, backend: Native | Hosted, name: WeightsName | None, most: int | None) -> None:
        """``most`` is the number of bytes that norms may take.

        Raises:
            UsageError: there is no such measure; the model can't give it.
        """
        require_measure(name)
        self._measure = measure_of(name)
        self._backend = backend
        self.observers: list[Observer] = []
        if self._measure.plain or self._measure.name in ALONG_PATHS:
            return
        if backend.name == "observed":
            raise UsageError(
                f"the model attends by itself (observed): it hands in its weights, and no values for {name}",
                hint="Ask for rollout, which is made of the weights alone.",
            )
        from attnviz.attention.observers import KeptValues, ValueNorms, Weights

        self._norms = Weights(backend.layers, most)
        self._values = KeptValues()
        self.observers = [ValueNorms([self._norms]) if self._measure.name == "norm" else self._values]

    def of(self, found: Attention) -> Attention:
        """The record of the measure.

        Raises:
            InputError, UsageError: it is too much, or not defined for this model.
        """
        from attnviz.attention.observers import as_array

        name = self._measure.name
        if self._measure.plain:
            return found
        if name in ALONG_PATHS:
            return along_paths(found, name)
        if name == "norm":
            return made_of(found, name, as_array(self._norms.stacked(found.kind)))
        raise one_stack_error(name, found.model)
