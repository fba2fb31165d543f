"""What pictures say in words: names of axes, and notes on scales and on what is not drawn."""

from __future__ import annotations

from attnviz.analysis.text.units import Reading
from attnviz.record import ATTENTION, Measure, Observation
from attnviz.render.figure.style import Style
from attnviz.render.labels import clean

_NEGLIGIBLE = 0.005
"""The smallest share of hidden weight that is said."""


def picture_name(observation: Observation) -> str:
    """Return the model's name, and which of its maps this is if it has several."""
    kind = "" if observation.kind == "self" else f"  {observation.kind}"
    whose = "  observed" if observation.backend == "observed" else ""
    measure = "" if observation.measure.plain else f"  {observation.measure.name}"
    return clean(observation.model.rpartition("/")[2]) + kind + whose + measure


def measure_note(measure: Measure, note: str = "", *, own: bool = False) -> str:
    """Return what the numbers are, with the paper, and what the record notes of them; empty for plain attention.

    ``note`` is that of the record, which may name the answer that they are of. ``own`` says that what tokens keep of
    themselves is left out of the scale.
    """
    beyond = "; the scale ends at the largest part of another token" if own and measure.residual else ""
    if measure.plain:
        return clean(note) if note else ""
    return f"{measure.title} ({measure.source}){f'; {clean(note)}' if note else ''}{beyond}"


def axis_names(units: Reading) -> tuple[str, str]:
    """Return the names of a map's vertical and horizontal axis."""
    target, source = ("", "") if units.one_text else ("target ", "source ")
    return f"looks ({target}{units.kind}s)", f"looked at ({source}{units.kind}s)"


def bar_label(measure: Measure, *, per_token: bool = False) -> str:
    """Return what a scale of weights is of; ``(%)`` at its end says that they are written in percent."""
    name = "attention weight" if measure.plain else measure.name
    return f"{name}{' per token' if per_token else ''}{' (%)' if measure.share else ''}"


def log_note(style: Style) -> str:
    """Return that the scale is logarithmic, and what that hides; empty if it is not."""
    return "logarithmic scale: weights below its beginning have the lowest colour" if style.log else ""


def scale_note(style: Style, heads: int, measure: Measure = ATTENTION) -> str:
    """Return what a reader must know of the scale of a picture of so many heads; empty for the usual one."""
    head = "layer" if measure.by_layer else "head"
    shared = "" if heads == 1 else f"one scale for all {head}s"
    if style.own_scale and heads > 1:
        shared = f"each {head} has a scale of its own{', to its largest weight' if measure.plain else ''}"
    return "; ".join(filter(None, (shared, log_note(style))))


def hidden_note(observation: Observation, share: float) -> str:
    """Return which ``share`` of the shown rows' weight lies on what is not drawn, in words; empty if none does."""
    if share < _NEGLIGIBLE:
        return ""
    hidden = [] if observation.special or observation.everything else ["special tokens and punctuation"]
    if observation.request.crop.columns != (None, None):
        hidden.append("columns left out")
    if observation.request.threshold:
        hidden.append(f"weights below {observation.request.threshold:g}")
    what = "weight" if observation.measure.plain else observation.measure.noun
    return f"hidden: {100 * share:.0f} % of these rows’ {what}, on {' and '.join(hidden) or 'what is not drawn'}"
