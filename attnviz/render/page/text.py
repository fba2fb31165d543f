"""The page of a text: a single HTML file with the attention of all heads, which needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from attnviz.analysis.text.links import Link
from attnviz.analysis.text.units import Reading
from attnviz.encoding import Encoding
from attnviz.errors import UsageError, count_of
from attnviz.record import Measure, Observation
from attnviz.record.prediction import prediction_facts
from attnviz.render.labels import clean, head_name, shorten
from attnviz.render.maps import format_number
from attnviz.render.page.content import LISTED, MapContent, map_content, text_content
from attnviz.render.page.environment import file, module, packed_palettes, render, script_json

SCRIPTS = (
    "data",
    "view",
    "usual",
    "paint",
    "cells",
    "state",
    "overview",
    "zoom",
    "grid",
    "arcs",
    "words",
    "pair",
    "neurons",
    "formula",
    "save",
    "tools",
    "main",
    "render",
)
"""The files of the script in their order, which have ``render({el, model})``; one more begins it."""
LARGEST = 25_000_000
"""A page of more bytes is not made."""
_WORD = 30


@dataclass(frozen=True, eq=False)
class TextParts:
    """What a page of a text is made of.

    Attributes:
        content: what the script reads, as values of JSON.
        maps: the maps.
        shown: the values of the templates.
    """

    content: dict[str, Any]
    maps: list[MapContent]
    shown: dict[str, Any]

    @property
    def body(self) -> str:
        """What stands in the page before its script draws, as HTML."""
        return render("text_body.html", **self.shown)


@dataclass(frozen=True)
class TextAbout:
    """What is said of the run beside its attention.

    Attributes:
        command: the command that shows the text again; empty where there is none.
        check: the verdict of the check in words; empty where none was made.
        passed: whether it passed.
        neurons: whether each map must have its query and key vectors.
    """

    command: str = ""
    check: str = ""
    passed: bool = True
    neurons: bool = False


def text_page(found: Sequence[Observation], about: TextAbout | None = None) -> str:
    """Return the page of one text; of an encoder–decoder ``found`` has its maps, and the page opens with the last.

    Where scores were kept, the page shows how a weight is made.

    Raises:
        UsageError: the page would be larger than a browser opens with ease; neurons must be there and are not.
    """
    parts = text_parts(found, about)
    page = render(
        "text.html",
        style=file("style.css"),
        script=module([*SCRIPTS, "start"]),
        content=script_json(parts.content),
        packed=[each.packed.base64() for each in parts.maps],
        scores=[each.unfolded.scores for each in parts.maps],
        vectors=[each.unfolded.vectors for each in parts.maps],
        **parts.shown,
    )
    if len(page) > LARGEST:
        raise UsageError(
            f"the page would have {len(page) / 1e6:.0f} MB, a browser opens {LARGEST / 1e6:.0f} MB with ease",
            hint="Show a shorter text, or larger units: `unit` sentence or paragraph.",
        )
    return page


def text_parts(found: Sequence[Observation], about: TextAbout | None = None) -> TextParts:
    """Return what the page of one text is made of; see ``text_page``."""
    about = about or TextAbout()
    texts: list[Encoding] = []
    maps = [map_content(each, texts, neurons=about.neurons) for each in found]
    opened = len(maps) - 1
    first, units, links = found[opened], maps[opened].units, maps[opened].links
    link = links[0] if links else None
    content = {
        "version": 1,
        "model": clean(first.model),
        "backend": first.backend,
        "command": about.command,
        "prediction": prediction_facts(first.prediction) if first.prediction else None,
        "texts": [text_content(each, first.request.language) for each in texts],
        "maps": [each.facts for each in maps],
        "map": opened,
        "palettes": packed_palettes(),
    }
    name = clean(first.model).rpartition("/")[2]
    shown = {
        "title": f"{_said(link)} · {name}" if link else name,
        "name": name,
        "model": clean(first.model),
        "headline": link and _link(link, units),
        "verb": "looks at" if first.measure.plain else "takes from",
        "measure": None if first.measure.plain else f"{first.measure.title} ({first.measure.source})",
        "links": [_link(each, units) for each in links[:LISTED]],
        "sizes": _sizes(first),
        "check": about.check,
        "passed": about.passed,
        "note": first.note,
        "said": first.prediction and clean(first.prediction.describe(first.encoding)),
    }
    return TextParts(content, maps, shown)


def page_frame(page: str, height: int = 820) -> str:
    """Return a ``page`` in a frame for a notebook: it may run its script, and reach nothing around it."""
    return render("frame.html", page=page, title="attention", height=height)


def _said(link: Link) -> str:
    return f"{shorten(link.query, _WORD)} → {shorten(link.key, _WORD)}"


def _link(link: Link, units: Reading) -> dict[str, str | int]:
    """A link as the template writes it, and the address at which the page shows it."""
    names = (clean(units.queries.names[link.query_index]), clean(units.keys.names[link.key_index]))
    pin = ",".join(quote(name, safe="") for name in names)
    return {
        "query": shorten(link.query, _WORD),
        "key": shorten(link.key, _WORD),
        "share": _share(link, units.measure),
        "of": f" of its {units.measure.noun}" if units.measure.share else "",
        "place": head_name(link.layer, link.head, units.measure),
        "where": _where(link, units.measure),
        "address": f"head={link.layer}.{link.head}&pin={pin}",
    }


def _share(link: Link, measure: Measure) -> str:
    """How much a link is, without words."""
    return format_number(link.weight, "share" if measure.share else "")


def _where(link: Link, measure: Measure) -> str:
    """Where a link is, in words."""
    if measure.cumulative:
        return "through all layers"
    return f"in layer {link.layer}" if measure.by_layer else f"in head {link.head} of layer {link.layer}"


def _sizes(found: Observation) -> str:
    """How large model and text are."""
    layers, heads, queries, keys = found.shape
    tokens = count_of(queries, "token") if found.keys is None else f"{count_of(queries, 'token')} that look at {keys:,}"
    backend = {"native": "attnviz’s own forward pass", "hosted": "run by transformers, with attnviz’s kernel",
               "observed": "the model’s own weights"}[found.backend]  # fmt: skip
    return f"{layers} layers{'' if found.measure.by_layer else f' × {heads} heads'}, {tokens}, {backend}"
