"""Save figures as PNG, SVG or PDF: the same figure gives the same bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text

from attnviz.render.figure import fonts
from attnviz.render.figure.fitting import find_misfits
from attnviz.render.figure.style import own_settings

VECTOR_CELLS = 10_000
"""The most cells that are drawn as paths in an SVG or PDF; more make a file that viewers are slow to open."""
_UNDATED: dict[str, dict[str, None]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""What keeps the time out of a file."""


@dataclass(frozen=True)
class Saved:
    """What a reader should know of a saved picture.

    Args:
        missing: the characters that no installed font has; boxes stand for them.
        raster: the cells of maps that an SVG or PDF holds as an image, since they are too many for paths.
        unreadable: the texts that stand beyond the edges of the picture, or one over the other.
    """

    missing: list[str]
    raster: int = 0
    unreadable: tuple[str, ...] = ()


def to_png(figure: Figure) -> bytes:
    """Return the figure as the bytes of a PNG."""
    buffer = io.BytesIO()
    save_figure(figure, buffer, ".png")
    return buffer.getvalue()


@own_settings()
def save_figure(figure: Figure, file: BinaryIO, suffix: str) -> Saved:
    """Write the figure in the format of ``suffix``, with fonts for its characters."""
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]
    for text in texts:
        text.set_fontfamily(list(fonts.families(text.get_text())))
    missing = fonts.missing("".join({text.get_text() for text in texts}))
    paths = nullcontext(0) if suffix == ".png" else _cells_as_paths(figure)
    with paths as raster, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of missing glyphs, which are returned
        if suffix == ".png":
            canvas: Any = FigureCanvasAgg(figure)
            canvas.print_png(file)  # ``savefig`` would draw all of it once before
        else:
            figure.savefig(file, format=suffix[1:], facecolor=figure.get_facecolor(), metadata=_UNDATED[suffix])
            figure.draw_without_rendering()  # the file's own resolution has moved the names of axes
        unreadable = find_misfits(figure).texts
    return Saved(missing, raster, unreadable)


@contextmanager
def _cells_as_paths(figure: Figure) -> Iterator[int]:
    """Draw images of few cells as paths inside the block; the value is the cells of the others."""
    images = [image for image in figure.findobj(AxesImage) if isinstance(image, AxesImage)]
    few = [image for image in images if _cells(image) <= VECTOR_CELLS]
    meshes = [_mesh(image) for image in few]
    for image in few:
        image.set_visible(False)
    try:
        yield sum(map(_cells, images)) - sum(map(_cells, few))
    finally:
        for image, mesh in zip(few, meshes, strict=True):
            image.set_visible(True)
            mesh.remove()


def _cells(image: AxesImage) -> int:
    array: Any = np.ma.asarray(image.get_array())
    return int(array.count()) if array.ndim == 2 else array[..., 0].size


def _mesh(image: AxesImage) -> Artist:
    left, right, bottom, top = image.get_extent()
    values: Any = np.ma.asarray(image.get_array())
    if image.origin == "upper":
        bottom, top = top, bottom
    rows, columns = values.shape[:2]
    axes = image.axes
    limits = axes.get_xlim(), axes.get_ylim()
    mesh = axes.pcolormesh(
        np.linspace(left, right, columns + 1), np.linspace(bottom, top, rows + 1), values, cmap=image.get_cmap(),
        norm=cast("Normalize", image.norm), zorder=image.get_zorder(), edgecolors="face", linewidth=0.1,
    )  # fmt: skip  # the edges hide the seams that viewers draw between cells
    axes.set(xlim=limits[0], ylim=limits[1])
    return mesh
