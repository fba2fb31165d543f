"""Run the windows of a document that is longer than the model's limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnviz.attention.kernel import Observer
from attnviz.attention.observers import InWindows
from attnviz.encoding import Window

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native


def run_windows(
    backend: Native | Hosted, windows: Sequence[Window], observers: Sequence[InWindows], others: Sequence[Observer] = ()
) -> None:
    """Run each of the ``windows`` of a document as a text of its own.

    Args:
        backend: the model.
        windows: the windows of the document.
        observers: observers that are told which window begins.
        others: observers that see the windows as separate texts.

    Raises:
        InputError, ModelError: as ``backend.run``.
    """
    for window in windows:
        for observer in observers:
            observer.enter(window)
        backend.run(window.encoding, [*observers, *others])
