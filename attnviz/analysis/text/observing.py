"""One run of a model, and observers that keep of its attention what a summary needs, and nothing N × N."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from attnviz.analysis.text.survey_observers import Source, TextObservers, Wanted
from attnviz.attention.kernel import Observer
from attnviz.attention.observers import Only
from attnviz.encoding import Encoding, Windows
from attnviz.model.windows import run_windows
from attnviz.record import Kind, Observation

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

__all__ = ["Wanted", "is_causal", "observe"]

_LAYERS = 48
"""How many layers a model is taken to have where that is known after a run only."""
_PROBE = 8
"""How many tokens a hosted model reads so that it shows whether it is causal."""


def observe(
    name: str,
    backend: Native | Hosted,
    read: Encoding,
    written: Encoding | None,
    kind: Kind,
    wanted: Wanted,
    others: Sequence[Observer] = (),
    windows: Windows | None = None,
    *,
    evidence: bool = True,
) -> Observation:
    """Run ``backend`` on the text ``read`` (and what its decoder has ``written``) and keep what is ``wanted``.

    A text that is longer than the model has positions is run in ``windows``. ``evidence`` is kept for a check, or not.

    Raises:
        UsageError: a word, a passage or a row that the text does not have.
        InputError, ModelError: as the run.
    """
    causal = is_causal(backend, read, written, kind)
    encoding = read if written is None or kind == "encoder" else written
    source = Source(kind, causal, encoding, read if kind == "cross" else None, windows)
    kept = TextObservers(source, wanted, backend.layers.get(kind, _LAYERS))
    gathered = kept.gathering(backend.heads[kind]) if evidence else None
    seeing = [gathered] if gathered else []
    if windows:
        run_windows(backend, windows, [*kept.in_windows(), *seeing], others)
    else:
        backend.run(read, [Only(kind, [kept.stats, *kept.observers, *seeing]), *others], written)
    found = kept.record(name, backend.path)
    return replace(found, evidence=gathered.evidence(kind, read, written)) if gathered else found


def is_causal(backend: Native | Hosted, read: Encoding, written: Encoding | None, kind: Kind) -> bool:
    """Whether no query sees a later key: of a hosted model a run shows it, here one of a few tokens."""
    if backend.path != "native":
        backend.run(_beginning(read), (), None if written is None else _beginning(written))
    return backend.causal(kind)


def _beginning(encoding: Encoding) -> Encoding:
    return replace(encoding, ids=encoding.ids[:_PROBE], type_ids=encoding.type_ids[:_PROBE])
