"""Draw a word alignment: the weights between the words of both texts, with a frame around each link."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from attnviz.analysis.text.word_alignment import Alignment, mean_of
from attnviz.render.figure import sheet
from attnviz.render.figure.captions import bar_label
from attnviz.render.figure.layout import NAMED, Around, Panel
from attnviz.render.figure.panels import draw_panels
from attnviz.render.figure.sheet import Scale
from attnviz.render.figure.style import Style, own_settings
from attnviz.render.heatmap import Heatmap, exponent_in
from attnviz.render.labels import clean


@own_settings()
def draw_alignment(alignment: Alignment, step: str, model: str, style: Style | None = None) -> Figure:
    """Draw a row for each target word, a column for each source word, and a frame around each link.

    Args:
        alignment: the weights and the links.
        step: whose row a target word has.
        model: the model's name.
        style: how the picture looks.

    Raises:
        UsageError: the picture would have too many pixels.
    """
    style = style or Style()
    high = float(alignment.weights.max(initial=0.0)) or 1.0
    measure = alignment.measure
    heatmap = Heatmap(
        alignment.weights, alignment.target, alignment.source, 0.0, high, measure.share,
        exponent_in(alignment.weights, measure), blank=True,
    )  # fmt: skip
    links = [(target, source) for source, target in alignment.links]
    scale = Scale(sheet.norm_of(style, high), sheet.colours_of(style), measure.share)
    hidden = alignment.special / np.maximum(alignment.special + alignment.weights.sum(-1), 1e-12)
    panel = Panel("", heatmap, alignment.source, scale, hidden, points=links)
    heads = f"{mean_of(alignment.heads)}, at the step that {step} the target word"
    notes = [f"framed: the source word that gets most from each target word; {heads}"]
    if hidden.mean() >= 0.005:
        notes.append(f"hidden: {100 * hidden.mean():.0f} % of the {measure.noun}, on special tokens")
    title = f"{clean(model.rpartition('/')[2])}  alignment{'' if measure.plain else f'  {measure.title}'}"
    named = max(alignment.weights.shape) <= NAMED
    written = f"numbers in {heatmap.unit}" if heatmap.exponent else ""
    return draw_panels([panel], Around(title, notes, ("target", "source"), bar_label(measure), named, written), style)
