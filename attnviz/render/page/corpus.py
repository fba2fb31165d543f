"""The report on a corpus: a single HTML page that needs no other files; without scripts its maps are tables."""

from __future__ import annotations

from collections.abc import Sequence

from attnviz.analysis.corpus.accumulation import Corpus
from attnviz.analysis.corpus.quotes import Quotations
from attnviz.analysis.corpus.roles import RoleHeads
from attnviz.errors import count_of
from attnviz.render.about import About
from attnviz.render.labels import clean
from attnviz.render.maps import corpus_maps
from attnviz.render.page import sections
from attnviz.render.page.environment import file, module, packed_palettes, render, script_json
from attnviz.render.page.head_maps import maps_html
from attnviz.render.page.html import section

SCRIPTS = ("paint", "tables", "heads", "report", "start")
"""The files of the script in their order."""


def corpus_page(corpus: Corpus, found: Sequence[RoleHeads], about: About, quotations: Quotations | None = None) -> str:
    """Return the page as HTML.

    Args:
        corpus: the findings on the corpus.
        found: the roles of the heads.
        about: the facts of the run.
        quotations: the sentences of links, as far as they are known.
    """
    quotations = quotations or {}
    name = clean(about.model.rpartition("/")[2])
    shown = corpus_maps(corpus)
    body = [
        sections.tiles_section(corpus, about),
        sections.findings_section(corpus, found),
        sections.typical_section(corpus, quotations, everything="all" in about.options),
        sections.longest_section(corpus, quotations),
        sections.roles_section(found, shown),
        section("Maps", sections.ABOUT_MAPS, maps_html(shown, corpus.layers)) if shown else "",
        sections.outliers_section(corpus),
        sections.reasons_section("Failures", "Documents that could not be measured, and why.", corpus.failures),
        sections.reasons_section("Notes", "What is to be known of documents that were measured.", corpus.notes),
        sections.run_section(about),
    ]
    return render(
        "corpus.html",
        title=f"{name}: {count_of(corpus.counts.documents, 'document')}",
        heading=f"Where {name} looks in {count_of(corpus.counts.measured, 'document')}",
        lead=sections.inputs_line(about),
        body="\n".join(part for part in body if part),
        style=file("style.css"),
        script=module(SCRIPTS),
        content=script_json({"palettes": packed_palettes(signed=True)}),
    )
