"""The templates of the pages, and what may stand in a script."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

_NAMES = ("base.html", "corpus.html", "frame.html", "text.html")


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


def digest(content: str) -> str:
    """Return the digest by which a page's security policy allows a style or script, and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def script_json(value: Any) -> str:
    """Return ``value`` as JSON that can stand between script tags: no character of it ends or opens one."""
    written = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        written = written.replace(character, f"\\u{ord(character):04x}")
    return written
