"""Whether maps are true pictures in the terminal."""

from __future__ import annotations

from typing import Literal

from attnviz.cli.matplotlib_settings import isolate_matplotlib
from attnviz.errors import UsageError

Graphics = Literal["auto", "blocks", "pixels"]


def has_pictures(wanted: Graphics) -> bool:
    """Whether maps are pictures: they are ``wanted``, and the terminal can show them.

    Raises:
        UsageError: they must be, and something is missing.
    """
    if wanted == "blocks":
        return False
    from attnviz.render.terminal import pixels

    lack = pixels.missing()
    if lack and wanted == "pixels":
        install = "Install it: python -m pip install 'attnviz[explore]'. " if "installed" in lack else ""
        raise UsageError(
            f"--graphics pixels: {lack}", hint=f"{install}Leave it out, or take --graphics auto: it uses blocks then."
        )
    if not lack:
        isolate_matplotlib()
    return not lack
