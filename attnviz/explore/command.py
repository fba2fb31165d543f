"""The commands that make again what the explorer shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from attnviz.explore.material import Material
from attnviz.explore.view import Place, View
from attnviz.record import Crop, Heads, Request
from attnviz.render.heatmap import PICTURE_CELLS


def shown_again(view: View, material: Material, usual: Request, path: Path | None = None) -> tuple[str, list[str]]:
    """The name of the command that makes a ``path`` again, or prints what is shown, and its words beside the text.

    Two heads have a difference only in a picture; of two texts ``compare`` prints how heads differ.
    """
    if path is None and view.versus is not None:
        return "compare", [view.versus, *_kind(view)]
    if path is None and view.other is not None:
        path = Path("difference.svg")
    if path is None:
        cell = ["--cell", view.order] if view.order in ("entropy", "sink") else []
        return "show", [*options_of(view, material, usual=usual), *cell]
    if path.suffix in _ALL:
        return "export", [str(path)]
    arcs = ["--view", "arcs"] if drawn_as_arcs(view) else []
    return "export", [str(path), *options_of(view, material, usual=usual), *arcs]


def drawn_as_arcs(view: View) -> bool:
    """Whether a picture of the view has lines between words: differences have none."""
    return view.arcs and view.other is None and view.versus is None


_ALL = (".json", ".safetensors")
"""What holds all heads."""


def options_of(view: View, material: Material, *, usual: Request) -> list[str]:
    """The options that a command needs beside the text and the model: the head, the word, and what rows are.

    ``usual`` is what the command line asked for: what is as it was there stands in the command already, but for the
    map, the unit and what is special.
    """
    words, layers = _kind(view), material.units.layers
    first = view.head if view.other is None else view.other  # the difference is the second minus the first
    words += ["--layer", str(layers[first[0]])]
    if not material.units.measure.by_layer:
        words += ["--head", str(first[1])]
    if view.other is not None:
        return [*words, "--versus-head", f"{layers[view.head[0]]}.{view.head[1]}"]
    if view.versus is not None:
        return [*words, "--versus", view.versus]
    if view.threshold:
        words += ["--threshold", f"{view.threshold:g}"]
    if view.part is not None:
        for name, (start, stop) in zip(("--rows", "--cols"), view.part, strict=True):
            words += [name, f"{start}:{stop}"]
    elif view.picked is not None and usual.passage is None:
        words += ["--token", material.units.queries.names[view.picked]]
    return words


def _kind(view: View) -> list[str]:
    """Which map it is, and what rows and columns are."""
    words = [] if view.map is None else ["--map", view.map]
    words += [] if view.unit == "word" else ["--unit", view.unit]
    return [*words, *(["--special"] if view.special else [])]


def request_of(view: View, usual: Request) -> Request:
    """What is asked of the text for a view, whatever its head."""
    return replace(usual, unit=view.unit, special=view.special, map=view.map, heads=Heads(), words=(), crop=Crop(),
                   threshold=0.0)  # fmt: skip


def picture_request(view: View, material: Material, usual: Request, head: Place) -> Request:
    """What is asked of the text for a picture of a head."""
    heads = Heads((material.units.layers[head[0]],), (head[1],))
    asked = replace(request_of(view, usual), heads=heads, size=PICTURE_CELLS)
    if view.other is not None or view.versus is not None:
        return asked
    crop = Crop(*view.part) if view.part is not None else Crop()
    words = () if view.picked is None or view.part is not None else (material.units.queries.names[view.picked],)
    return replace(asked, crop=crop, words=words, threshold=view.threshold)
