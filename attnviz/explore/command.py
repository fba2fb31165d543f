"""The commands that make again what the explorer shows."""

from __future__ import annotations

from dataclasses import replace

from attnviz.explore.material import Material
from attnviz.explore.view import View
from attnviz.record import Crop, Heads, Request


def options_of(view: View, material: Material, *, usual: Request) -> list[str]:
    """The options that a command needs beside the text and the model: the head, the word, and what rows are.

    ``usual`` is what the command line asked for: what is as it was there stands in the command already, but for the
    map, the unit and what is special.
    """
    words: list[str] = []
    if view.map is not None:
        words += ["--map", view.map]
    if view.unit != "word":
        words += ["--unit", view.unit]
    if view.special:
        words.append("--special")
    words += ["--layer", str(material.units.layers[view.head[0]])]
    if not material.units.measure.by_layer:
        words += ["--head", str(view.head[1])]
    if view.part is not None:
        for name, (start, stop) in zip(("--rows", "--cols"), view.part, strict=True):
            words += [name, f"{start}:{stop}"]
    elif view.picked is not None and usual.passage is None:
        words += ["--token", material.units.queries.names[view.picked]]
    return words


def request_of(view: View, usual: Request) -> Request:
    """What is asked of the text for a view, whatever its head."""
    return replace(usual, unit=view.unit, special=view.special, map=view.map, heads=Heads(), words=(), crop=Crop())


def picture_request(view: View, material: Material, usual: Request) -> Request:
    """What is asked of the text for a picture of the head under the cursor."""
    heads = Heads((material.units.layers[view.head[0]],), (view.head[1],))
    crop = Crop(*view.part) if view.part is not None else Crop()
    words = () if view.picked is None or view.part is not None else (material.units.queries.names[view.picked],)
    return replace(request_of(view, usual), heads=heads, crop=crop, words=words)
