"""The pictures of a text by name: what each needs to be observed, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, cast, get_args

from matplotlib.figure import Figure

from attnviz.analysis.text.aligned import align
from attnviz.analysis.text.arcs import find_arcs
from attnviz.analysis.text.shading import find_shading
from attnviz.analysis.text.shown_maps import grid, head_maps
from attnviz.analysis.text.summary import Summary, summarise
from attnviz.errors import UsageError, did_you_mean, short
from attnviz.record import Heads, Measure, Observation, Request
from attnviz.render.figure.arcs import draw_arcs, room_for_words
from attnviz.render.figure.difference import draw_difference
from attnviz.render.figure.grid import draw_grid
from attnviz.render.figure.head import draw_heads
from attnviz.render.figure.profile import draw_profile
from attnviz.render.figure.shading import draw_shading
from attnviz.render.figure.style import Style

View = Literal["grid", "head", "arcs", "token", "profile", "difference"]
_MOST_HEADS = 36
"""The most heads that are drawn side by side."""


def choose_view(view: str | None, request: Request, *, versus: bool = False, horizontal: bool = False) -> View:
    """Return the view that is asked for; without a name the one that fits the ``request``.

    Args:
        view: its name, or None.
        request: what is asked of the text.
        versus: whether there is another text or model.
        horizontal: whether words are to stand side by side.

    Raises:
        UsageError: there is no such view, or what is asked for does not go with it.
    """
    if view is None:
        view = "difference" if versus else "head" if request.heads.chosen or request.words else "grid"
    known = get_args(View)
    if view not in known:
        meant = did_you_mean(str(view), known)
        raise UsageError(f"there is no view {short(view)}", hint=f"{meant}Views are {', '.join(known)}.")
    if versus and view != "difference":
        raise UsageError(f"another text, model or head is for the view difference, not for {view}")
    if view == "difference" and not versus:
        raise UsageError(
            "a difference needs another text, another model or another head",
            hint="Give `versus`, `versus_model` or `versus_head`.",
        )
    if horizontal and view != "arcs":
        raise UsageError(f"`horizontal` is for the view arcs, not for {view}")
    if request.words and view in ("grid", "profile", "difference"):
        raise UsageError(f"`token` is for the views head, arcs and token, not for {view}")
    if view == "token" and len(request.words) != 1:
        raise UsageError("the view token shows what one word looks at", hint="Name it with `token`: bank, or the:2.")
    return cast("View", view)


_OWN_SCALES, _ANNOTATED = ("grid", "head"), ("head", "difference")
"""The views that know scales of heads, and those with weights in their cells."""


def require_style(view: View, style: Style, measure: Measure) -> None:
    """Check that a ``view`` of a ``measure`` can look as the ``style`` says.

    Raises:
        UsageError: it has no scales of heads, or no cells with weights in them; a scale that shares never reach.
    """
    if style.vmax is not None and style.vmax > 1 and measure.share:
        raise UsageError(f"`vmax` is {style.vmax!r}, expected a weight above 0 and at most 1, such as 0.5 or 50%")
    if style.own_scale and view not in _OWN_SCALES:
        raise UsageError(f"`own_scale` is for the views {' and '.join(_OWN_SCALES)}, not for {view}")
    if style.annotate is not None and view not in _ANNOTATED:
        raise UsageError(f"`annotate` is for the views {' and '.join(_ANNOTATED)}, not for {view}")


def request_for(view: View, request: Request) -> Request:
    """Return what must be observed for a ``view``: of one word that looks, its row alone."""
    if view == "token" and request.crop.rows == (None, None):
        return replace(request, crop=replace(request.crop, rows=request.words[0]))
    return request


def draw_view(observation: Observation, view: View, style: Style, *, horizontal: bool = False) -> Figure:
    """Draw what was observed of one text.

    Args:
        observation: what was observed, with the request that says which heads and words are wanted.
        view: any but ``difference``.
        style: how the picture looks.
        horizontal: whether the words of arcs stand side by side.

    Raises:
        UsageError: a layer or head that the model does not have; a view that the observation can't give.
    """
    require_style(view, style, observation.measure)
    if view == "profile":
        return draw_profile(observation, style)
    summary = summarise(observation)
    units = summary.units
    if view == "grid" and observation.measure.by_layer and observation.layers <= _MOST_HEADS:
        return _draw_layers(observation, summary, style)
    if view == "grid":
        return draw_grid(observation, grid(observation), style, summary.strongest_heads)
    if view == "token":
        return draw_shading(observation, find_shading(observation, units, observation.request.words[0]), style)
    if len(summary.maps) > _MOST_HEADS:
        raise UsageError(
            f"`layer` and `head` name {len(summary.maps)} heads, at most {_MOST_HEADS} are drawn side by side",
            hint="Draw the view grid.",
        )
    if view == "arcs":
        arcs = find_arcs(observation, units, summary.maps, room_for_words(style, horizontal=horizontal))
        return draw_arcs(observation, arcs, style, horizontal=horizontal)
    marked = observation.asked if observation.named and not observation.large else ()
    return draw_heads(observation, units, summary.maps, style, marked)


def _draw_layers(observation: Observation, summary: Summary, style: Style) -> Figure:
    """Draw the one map of each layer side by side; those that sum up all layers before each on a scale of its own."""
    wanted = Heads(observation.request.heads.layers, mean=True)
    maps = head_maps(observation, summary.units, summary.overview, wanted)
    return draw_heads(
        observation, summary.units, maps, replace(style, own_scale=style.own_scale or observation.measure.cumulative)
    )


def draw_two(first: Observation, observe_other: Callable[[Heads], Observation], style: Style) -> Figure:
    """Draw the first head of two observations side by side, and their difference.

    Args:
        first: what was observed of one text by one model.
        observe_other: observes the other text or model in the head that is shown of the ``first``, or another head.
        style: how the picture looks.

    Raises:
        UsageError: a text so long that its weights were not kept one by one.
    """
    require_style("difference", style, first.measure)
    one = summarise(first)
    head = one.maps[0]
    heads = Heads((head.layer,), None if head.head is None else (head.head,), head.head is None)
    return draw_difference(align(one, summarise(observe_other(heads))), one.units, style)
