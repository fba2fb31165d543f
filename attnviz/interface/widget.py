"""The page of a record as a widget of a notebook, whose state the notebook reads and sets."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import anywidget
import traitlets

from attnviz.record import Observation
from attnviz.render.page.environment import file, module
from attnviz.render.page.text import SCRIPTS, text_parts


class AttentionWidget(anywidget.AnyWidget):
    """The page, drawn by its own script; ``state`` is what stands in the address of a page: ``head=5.7&word=bank``."""

    _esm = module([*SCRIPTS, "widget"])
    body = traitlets.Unicode().tag(sync=True)
    style = traitlets.Unicode().tag(sync=True)
    content = traitlets.Dict().tag(sync=True)
    weights = traitlets.List(traitlets.Bytes()).tag(sync=True)
    scores = traitlets.List(traitlets.Bytes()).tag(sync=True)
    vectors = traitlets.List(traitlets.Bytes()).tag(sync=True)
    state = traitlets.Unicode().tag(sync=True)


def widget_of(found: Sequence[Observation], state: str = "") -> AttentionWidget:
    """Return the widget of the maps of one text, which opens at ``state``."""
    parts = text_parts(found)
    return AttentionWidget(
        body=parts.body,
        style=file("style.css"),
        content=parts.content,
        weights=[each.packed.data for each in parts.maps],
        scores=[base64.b64decode(each.unfolded.scores) for each in parts.maps],
        vectors=[base64.b64decode(each.unfolded.vectors) for each in parts.maps],
        state=state,
    )
