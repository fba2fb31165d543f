"""Draw the figures of one text's heads as small maps."""

from __future__ import annotations

from matplotlib.figure import Figure

from attnviz.record import Observation
from attnviz.render.figure.captions import picture_name
from attnviz.render.figure.maps import draw_maps
from attnviz.render.figure.style import Style
from attnviz.render.maps import profile_maps

_NOTE = (
    "one cell a head, each map on its own scale. entropy: of the weights of a query; distance: how far it looks; "
    "special: weight on special tokens; sink: the largest mean weight of one key"
)


def draw_profile(observation: Observation, style: Style | None = None) -> Figure:
    """Draw entropy, distance, the share of special tokens and the sink of each head: layers down, heads across.

    Raises:
        UsageError: the picture would have too many pixels.
    """
    layers = observation.layer_numbers
    heads = "" if observation.measure.by_layer else f" × {observation.heads} heads"
    title = f"{picture_name(observation)}  {len(layers)} layers{heads}"
    measure = observation.measure
    note = _NOTE if measure.plain else f"{_NOTE}; of rows of {measure.name} divided by their sums ({measure.source})"
    return draw_maps(profile_maps(observation), layers, title, note, style)
