"""The templates of the pages, and what may stand in a script."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

from attnviz.render import palette

_NAMES = (
    "answer.html",
    "base.html",
    "corpus.html",
    "frame.html",
    "maps.html",
    "table.html",
    "text.html",
    "text_body.html",
)


def render(template: str, /, **values: Any) -> str:
    """Return a page of the ``template``; values are escaped where the template does not say that they are safe."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    found = Environment(
        loader=DictLoader({name: file(f"templates/{name}") for name in _NAMES}),
        autoescape=True,
        undefined=StrictUndefined,
    )
    found.filters["digest"] = digest
    return found


def file(name: str) -> str:
    """Return the text of a file of this package."""
    return files(__package__).joinpath(name).read_text("utf-8")


def module(names: Sequence[str]) -> str:
    """Return the files of the script that are named, as one module."""
    return "\n".join(file(f"scripts/{name}.js") for name in names)


def packed_palettes(*, signed: bool = False) -> dict[str, str]:
    """Return the colours of the light and the dark page, in base64; also those of ``signed`` values."""
    tables = {name: palette.colour_table(name) for name in ("ink", "ember")}
    if signed:
        tables |= {f"{name}-signed": palette.two_sided_table(name) for name in ("ink", "ember")}
    return {name: base64.b64encode(table.tobytes()).decode() for name, table in tables.items()}


def digest(content: str) -> str:
    """Return the digest by which a page's security policy allows a style or script, and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def script_json(value: Any) -> str:
    """Return ``value`` as JSON that can stand between script tags: no character of it ends or opens one."""
    written = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        written = written.replace(character, f"\\u{ord(character):04x}")
    return written
