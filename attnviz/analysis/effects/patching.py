"""Activation patching: what of a corrupt text's answer one head of the clean text's run moves back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attnviz.analysis.effects.ablation import OnProgress, place_columns
from attnviz.analysis.effects.places import HeadPlace
from attnviz.analysis.effects.sides import Sides
from attnviz.analysis.table import Column, Table, by_size
from attnviz.attention.interventions import Freeze, Intervention, Patch
from attnviz.attention.observers import Weights
from attnviz.attention.observers.changed import KeptContexts

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnviz.attention.tile import Observer

What = Literal["output", "pattern"]
"""What of a head comes from the clean text: what it writes, or where it looks."""

SHARE = Column(
    "share",
    "(patched − corrupt) / (clean − corrupt) of the logit (difference): 100% where the answer is that of the clean "
    "text again, negative where it moves away from it (Zhang & Nanda 2024)",
    "part",
)
CHANGE = Column("change", "patched − corrupt: how far the logit (difference) moves", "change")
PATCHED = Column("patched", "the logit (difference) of the corrupt text with the patch", "number")
_WHAT = {
    "output": "Each head in turn writes what it writes in the clean text, at all tokens; all after it follows.",
    "pattern": "Each head in turn looks where it looks in the clean text; what it finds there is the corrupt text's.",
}
ALONE = (
    "Each patch is by itself: heads that do the same, or that later ones make up for, show less than they do together, "
    "and shares do not add up to 100%. It is one pair of texts."
)


def patch_heads(
    sides: Sides,
    places: Sequence[HeadPlace],
    what: What = "output",
    *,
    about: dict[str, Any] | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> Table:
    """Run the corrupt text once for each of some heads, which comes from the clean text (Vig et al. 2020).

    Args:
        sides: the texts and what is scored.
        places: the heads.
        what: what of a head is patched.
        about: what the answer is of.
        on_progress: is told how many runs are done, and of how many.

    Raises:
        InputError, ModelError: the model can't be run.
        UnsupportedModel: it attends by itself.
    """
    observer, make = _clean_heads(sides, what)
    sides.clean.backend.run(sides.clean.encoding, [observer], sides.clean.target)
    variants = [[make(place)] for place in places]
    scores = np.full(len(places), np.nan)
    for done, (number, logits) in enumerate(sides.corrupt.logits(variants), 1):
        scores[number] = sides.score(logits)
        on_progress(done, len(places))
    columns, values = place_columns(places)
    table = score_table(sides, f"Which head restores {sides.name}?", columns, values, scores)
    notes = (*sides.notes(), _WHAT[what], ALONE)
    return Table(**vars(table) | {"notes": notes, "about": {**(about or {}), **sides.about(), "what": what}})


def score_table(sides: Sides, title: str, columns: tuple[Column, ...], values: dict[str, Any], scores: Any) -> Table:
    """A table of rows with their ``scores``, those that move most first."""
    change = scores - sides.before
    share = np.array([sides.share(each) for each in change])
    values = {**values, "share": share, "change": change, "patched": scores}
    table = Table("patch", title, (*columns, SHARE, CHANGE, PATCHED), values)
    return by_size(table, "share" if sides.apart else "change")


def _clean_heads(sides: Sides, what: What) -> tuple[Observer, Callable[[HeadPlace], Intervention]]:
    """What sees the run of the clean text, and what it then puts in the place of a head."""
    if what == "pattern":
        weights = Weights(sides.clean.backend.layers)
        return weights, lambda place: Freeze(
            place.layer, place.head, place.kind, weights.layer(place.layer, place.kind)[place.head]
        )
    kept = KeptContexts()
    return kept, lambda place: Patch(
        place.layer, place.head, place.kind, kept.found[place.kind][place.layer][place.head]
    )
