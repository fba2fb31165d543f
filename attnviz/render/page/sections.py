"""The sections of the report on a corpus."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attnviz.analysis.corpus.accumulation import Corpus, Reason
from attnviz.analysis.corpus.outliers import FAR
from attnviz.analysis.corpus.quotes import Quotations
from attnviz.analysis.corpus.roles import HeadRole, RoleHeads
from attnviz.analysis.corpus.typical_links import LONG_WEIGHT, TIMES, Occurrence
from attnviz.analysis.text.offsets import MIN_QUERIES
from attnviz.errors import count_of
from attnviz.render.about import About
from attnviz.render.maps import MetricMap, format_number
from attnviz.render.page.html import TableCell, bar, document_position, escape_text, section, sortable_table, word
from attnviz.render.page.html import number_cell as cell
from attnviz.render.terminal.cost import duration

ABOUT_MAPS = (
    "One cell a head: layers down, heads across. Its colour is the mean over the documents; shares of attention are in "
    "percent. Each map has a scale of its own. Point at a head to read it in all maps; a click pins it, Esc frees it."
)
_ABOUT_ROLES = (
    "What heads do over the whole corpus, by the score that stands beside each. A head may have several roles or none; "
    "the thresholds are conventions, so look at the scores near them too."
)
_SHOWN = 12
"""How many heads of a role are shown before the rest is folded."""


def tiles_section(corpus: Corpus, about: About) -> str:
    """Return the key numbers of the corpus."""
    counts = corpus.counts
    shown = [(f"{counts.measured:,}", "documents measured", "")]
    if counts.failed:
        shown.append((f"{counts.failed:,}", "documents failed", "bad"))
    shown += [(f"{counts.words:,}", "words", ""), (f"{counts.tokens:,}", "tokens", "")]
    if counts.measured:
        shown.append((f"{corpus.tokens.quantile(0.5):,.0f}", "tokens in the median document", ""))
        shown.append((f"{corpus.tokens.maximum:,.0f}", "tokens in the longest", ""))
    if about.seconds > 0:
        rate = f"{counts.tokens / about.seconds:,.0f} tokens a second"
        shown.append((duration(about.seconds), rate, ""))
    verdict, kind = {True: ("passed", "good"), False: ("failed", "bad"), None: ("not made", "")}[about.passed]
    shown.append((verdict, "check against the model’s own attention", kind))
    items = "".join(
        f"<li><b{f' class={kind}' if kind else ''}>{big}</b><span>{small}</span></li>" for big, small, kind in shown
    )
    return f"<ul class=tiles>{items}</ul>"


def findings_section(corpus: Corpus, found: Sequence[RoleHeads]) -> str:
    """Return the main findings as sentences."""
    heads = len(corpus.layers) * corpus.heads
    said = [
        f"<b>{len(each.heads):,}</b> of {heads:,} heads {_DOES[each.role.name][len(each.heads) > 1]}."
        for each in found
        if each.heads
    ]
    if corpus.typical and corpus.typical[0].documents > 1:
        best = corpus.typical[0]
        pair = f"{word(best.strongest.query)} → {word(best.strongest.key)}"
        said.append(f"The most typical link: {pair}, in {count_of(best.documents, 'document')}.")
    if corpus.counts.left_out:
        said.append(f"{corpus.counts.left_out}.")
    return f"<ul class=short>{''.join(f'<li>{sentence}</li>' for sentence in said)}</ul>" if said else ""


_DOES = {
    "positional": ("looks at one offset, whatever the words", "look at one offset, whatever the words"),
    "sink": ("rests on one token, whatever the query", "rest on one token, whatever the query"),
    "previous": ("looks at the token before", "look at the token before"),
    "next": ("looks at the token after", "look at the token after"),
    "self": ("looks from each token at itself", "look from each token at itself"),
    "duplicate": ("looks back at the same token", "look back at the same token"),
    "induction": ("finds what followed the same token before", "find what followed the same token before"),
    "punctuation": ("looks at punctuation", "look at punctuation"),
    "broad": ("looks nearly everywhere at once", "look nearly everywhere at once"),
}
"""What one head of a role does, and what several do."""


def roles_section(found: Sequence[RoleHeads], shown: Sequence[MetricMap]) -> str:
    """Return the heads of each role; empty if nothing was measured."""
    return section("Roles", _ABOUT_ROLES, f"<div class=roles>{''.join(map(_role, found))}</div>") if shown else ""


def _role(found: RoleHeads) -> str:
    role = found.role
    source = f" ({escape_text(role.source)})" if role.source else ""
    rule = escape_text(role.rule).replace(" ", "&nbsp;")
    about = f"{escape_text(role.score)}: {rule}{source}"
    count = "not measured" if found.scores is None else count_of(len(found.heads), "head")
    if not found.heads:
        heads = f"<p>{_nearest(found)}</p>"
    else:
        heads = _heads(found.heads[:_SHOWN])
        if rest := found.heads[_SHOWN:]:
            heads += f"<details><summary>{len(rest):,} more</summary>{_heads(rest)}</details>"
    name = f"<h3>{role.name} <small>· {count}</small></h3>"
    return f'<div class="card role"><div>{name}<p>{about}</p></div><div>{heads}</div></div>'


def _heads(heads: Sequence[HeadRole]) -> str:
    items = (
        f"<li><b>{_head(each.layer, each.head)}</b> {format_number(each.score, 'share')}"
        f"{f' <i>{escape_text(each.detail)}</i>' if each.detail else ''}</li>"
        for each in heads
    )
    return f"<ul class=heads>{''.join(items)}</ul>"


def _head(layer: int, head: int) -> str:
    """Return the name of a head, which leads to it in the maps."""
    return f'<a href="#head={layer}.{head}">L{layer} H{head}</a>'


def _nearest(found: RoleHeads) -> str:
    if found.scores is None or np.isnan(found.scores).all():
        return "No head has this score."
    return f"No head; the largest score is {format_number(float(np.nanmax(found.scores)), 'share')}."


def typical_section(corpus: Corpus, quotations: Quotations, *, everything: bool) -> str:
    """Return the typical links, each with a sentence; ``everything``: function words were counted too."""
    if not corpus.typical:
        return ""
    most = max(pair.documents for pair in corpus.typical)
    rows = [
        (
            TableCell(_linked(best, quotations), kind="w"),
            cell(f"{bar(pair.documents / most)}{_at_most(pair.documents, pair.missed)}", pair.documents),
            cell(format_number(pair.expected, ""), pair.expected),
            cell(format_number(pair.weight, "share"), pair.weight),
            cell(format_number(best.weight, "share"), best.weight),
            TableCell(_head(best.layer, best.head), best.layer * corpus.heads + best.head, "h"),
            _document(best, quotations),
        )
        for pair in corpus.typical
        for best in (pair.strongest,)
    ]
    heads = [("looks → looked at", ""), ("documents", "n"), ("by chance", "n"), ("mean weight", "n"),
             ("strongest", "n"), ("head", ""), ("in", "")]  # fmt: skip
    about = (
        "Pairs of words that are among the strongest links of far more documents than by chance, given how many each "
        "of both has links in (log-likelihood ratio, Dunning 1993): words that are everywhere do not lead. The mean is "
        f"of each document’s strongest link between the two. A word is in {TIMES} pairs at most. "
    )
    about += "" if everything else "English pronouns are left out; <code>--all</code> brings them in."
    return section("Most typical links", about, sortable_table(heads, rows))


def _linked(link: Occurrence, quotations: Quotations) -> str:
    """Return a link as HTML, with the sentence that is quoted for it."""
    pair = f"{word(link.query)}<span class=arrow>→</span>{word(link.key)}"
    quotation = quotations.get(link)
    return f"{pair}<q><bdi>{escape_text(quotation.text)}</bdi></q>" if quotation else pair


def _document(link: Occurrence, quotations: Quotations) -> TableCell:
    """Return the document of a link: its position as an editor shows it, or its number."""
    quotation = quotations.get(link)
    where = f"<bdi>{escape_text(quotation.where)}</bdi>" if quotation else f"document {link.document:,}"
    return TableCell(where, link.document, "s")


def _at_most(documents: int, missed: int) -> str:
    return f"{documents:,}–{documents + missed:,}" if missed else f"{documents:,}"


def longest_section(corpus: Corpus, quotations: Quotations) -> str:
    """Return the longest links, each with a sentence of its document."""
    if not corpus.longest:
        return ""
    rows = [
        (
            TableCell(_linked(link, quotations), kind="w"),
            cell(f"{abs(link.distance):,}", abs(link.distance)),
            cell(format_number(link.weight, "share"), link.weight),
            TableCell(_head(link.layer, link.head), link.layer * corpus.heads + link.head, "h"),
            _document(link, quotations),
        )
        for link in corpus.longest
    ]
    heads = [("looks → looked at", ""), ("words apart", "n"), ("weight", "n"), ("head", ""), ("in", "")]
    about = f"Of each document its longest link with {format_number(LONG_WEIGHT, 'share')} of the attention at least."
    return section("Longest links", about, sortable_table(heads, rows))


def outliers_section(corpus: Corpus) -> str:
    """Return the documents that differ most from the others."""
    if not corpus.outliers:
        return ""
    rows = [
        (
            TableCell(document_position(each.where), each.where.document),
            cell(f"{each.where.tokens:,}", each.where.tokens),
            TableCell(escape_text(each.metric.replace("_", " "))),
            cell(format_number(each.value, "share"), each.value),
            cell(format_number(each.typical, "share"), each.typical),
            cell(f"{each.far:+.1f}".replace("-", "−"), each.far),
        )
        for each in corpus.outliers
    ]
    heads = [("document", ""), ("tokens", "n"), ("figure", ""), ("here", "n"), ("median", "n"), ("deviations", "n")]
    about = (
        f"Documents whose mean over all heads is {FAR:g} robust standard deviations or more from the median of "
        "documents of about the same length, by the figure in which they are farthest. Texts of fewer than "
        f"{MIN_QUERIES} tokens are left out, special ones not counted."
    )
    return section("Outlying documents", about, sortable_table(heads, rows))


def reasons_section(name: str, about: str, found: Sequence[Reason]) -> str:
    """Return a table of reasons and their counts; empty if there are none."""
    if not found:
        return ""
    rows = [
        (
            TableCell(escape_text(each.text)),
            cell(f"{each.documents:,}", each.documents),
            TableCell(document_position(each.first), kind="s"),
        )
        for each in found
    ]
    return section(name, about, sortable_table([("reason", ""), ("documents", "n"), ("first of them", "")], rows))


def inputs_line(about: About) -> str:
    """Return what was read."""
    named = ", ".join(f"<code>{escape_text(each)}</code>" for each in about.inputs[:_SHOWN])
    more = len(about.inputs) - _SHOWN
    return f"Read from {named}{f' and {more:,} more' if more > 0 else ''}." if named else ""


def run_section(about: About) -> str:
    """Return how the report was made, so that it can be reproduced."""
    facts = {
        "model": about.model,
        "revision": about.revision,
        "run": f"{about.backend}, {about.dtype} on {about.device}",
        "check": about.check,
        **about.options,
        "versions": ", ".join(f"{name} {version}" for name, version in about.versions.items()),
        "started": about.started,
    }
    items = "".join(
        f"<dt>{escape_text(name)}</dt><dd>{escape_text(value)}</dd>" for name, value in facts.items() if value
    )
    note = (
        "Means give each document the same weight. The numbers of all heads, with their quantiles, are in "
        "<code>summary.parquet</code> and <code>summary.json</code>; those of each document in the tables beside."
    )
    return section("How it was made", note, f"<dl>{items}</dl>")
