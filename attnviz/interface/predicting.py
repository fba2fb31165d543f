"""What a classifier says of a text that it attends to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnviz.record import Prediction

if TYPE_CHECKING:
    from attnviz.attention.kernel import Observer
    from attnviz.encoding import Encoding
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native


class Predicting:
    """The prediction of a run of ``backend`` that the ``observers`` see; for a model that is no classifier, nothing."""

    def __init__(self, backend: Native | Hosted) -> None:
        from attnviz.attention.observers import LastStates

        self._backend = backend
        self._last = LastStates() if backend.labels is not None and backend.name == "native" else None

    @property
    def observers(self) -> tuple[Observer, ...]:
        """What must see the run."""
        return () if self._last is None else (self._last,)

    def of(self, encoding: Encoding) -> Prediction | None:
        """What the model says of ``encoding``, which it has just read."""
        from attnviz.attention.observers import as_array

        backend = self._backend
        if backend.labels is None:
            return None
        if backend.name != "native":
            return backend.labels.prediction(as_array(backend.logits(encoding)))
        if self._last is None or self._last.states is None:
            return None
        return backend.labels.prediction(as_array(backend.logits(encoding, self._last.states)))
