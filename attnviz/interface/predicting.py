"""What a classifier says of a text that it attends to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from attnviz.record import Prediction

if TYPE_CHECKING:
    from attnviz.attention.kernel import Observer
    from attnviz.encoding import Encoding
    from attnviz.model.hosted import Hosted
    from attnviz.model.labels import Labels
    from attnviz.model.native.backend import Native


class Predicting:
    """The prediction of a run of ``backend`` that the ``observers`` see; for a model that is no classifier, nothing."""

    def __init__(self, backend: Native | Hosted) -> None:
        from attnviz.attention.observers import LastStates

        self._backend = backend
        single = backend.labels is not None and backend.kinds == ("self",)
        self._last = LastStates() if single and backend.name == "native" else None

    @property
    def observers(self) -> tuple[Observer, ...]:
        """What must see the run."""
        return () if self._last is None else (self._last,)

    def of(self, encoding: Encoding) -> Prediction | None:
        """What the model says of ``encoding``, which it has just read."""
        from attnviz.attention.observers import as_array

        backend = self._backend
        if backend.labels is None or not backend.can_classify(encoding):
            return None
        if backend.kinds != ("self",):
            return self._of_two(encoding, backend.labels)
        if backend.name != "native":
            return backend.labels.prediction(as_array(backend.logits(encoding)))
        if self._last is None or self._last.states is None:
            return None
        return backend.labels.prediction(as_array(backend.logits(encoding, self._last.states)))

    def _of_two(self, encoding: Encoding, labels: Labels) -> Prediction:
        """What an encoder–decoder says: its decoder reads the text once more, shifted right by one.

        That is a run of its own, since the decoder may have read another text.
        """
        from attnviz.attention.observers import as_array

        backend = self._backend
        first = encoding.ids[-1] if backend.start is None else backend.start
        target = replace(encoding, ids=(first, *encoding.ids[:-1]), source=None)
        if backend.name == "native":
            logits = backend.logits(encoding, backend.run(encoding, (), target))
        else:
            logits = backend.logits(encoding, target=target)
        return labels.prediction(as_array(logits))


def unlabelled(backend: Native | Hosted) -> str:
    """Why a classifier has no label for a text in windows; empty for other models."""
    if backend.labels is None:
        return ""
    return f"no label: its classifier reads {backend.limit:,} tokens at once, and the text came in windows"
