"""A summary in the terminal: one function for each part that ``attnviz show`` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from attnviz.analysis.languages import ENGLISH, NONE, function_words, language_name, plain
from attnviz.analysis.text.offsets import Positional
from attnviz.analysis.text.shown_maps import HeadMap
from attnviz.analysis.text.summary import Summary
from attnviz.analysis.text.units import Axis
from attnviz.errors import count_of
from attnviz.record import Cell, Observation
from attnviz.render.heatmap import head_heatmap, overview_heatmap
from attnviz.render.labels import clean, fit, fit_right, head_name, unit_of
from attnviz.render.palette import BAR, HEAD
from attnviz.render.terminal import long
from attnviz.render.terminal.blocks import Blocks
from attnviz.render.terminal.looks import (
    LABEL,
    attended_table,
    baseline_note,
    format_weight,
    generated_table,
    is_unbounded,
    legend,
    received_table,
    widest,
)
from attnviz.render.terminal.notes import Hanging, Note, Title
from attnviz.render.values import formatted

_BAR = 24
_AROUND = len("   →   0.46  L10 H10 ")
_LIFT = len(" 10.5×  ")
_HEADS = 3
"""The most heads of one offset that are named."""
_LEAST = 3
"""The fewest columns of a name on a narrow console."""

_CELLS: dict[Cell, str] = {
    "link": "each {head}'s strongest link between the {unit}s that count, {percent}",
    "entropy": "each {head}'s mean entropy in nats: low looks at one token, high at many",
    "sink": "the largest mean share that one token takes of a {head}'s {noun}, in %",
    "distance": "how many tokens away each {head} looks, on average",
}


def summary_parts(
    summary: Summary, *, named: bool, every: bool = False, draw: Callable[[HeadMap], RenderableType] | None = None
) -> Iterator[RenderableType]:
    """Yield all that ``show`` prints before the check, in order; the answer comes last, where a reader looks first.

    Args:
        summary: what is printed.
        named: the listed words were asked for by name: what they look at is the answer, else the links are.
        every: no table is cut.
        draw: makes a picture of a head's map, which then takes the place of blocks.
    """
    yield Hanging(summary_heading(summary.observation))
    yield from _overview(summary)
    for head in summary.maps:
        if draw:
            yield Text()
            yield draw(head)
        else:
            yield from _map(summary, head)
    table = list(_looks(summary, every=every or named))
    if not named:
        yield from table
    for title, note, part in long.long_sections(summary):
        yield Title(title, note)
        yield part
    if summary.generated:
        note = "; ".join(filter(None, ("the row of the token before it", baseline_note(summary))))
        yield Title("What each new token looked at when it was made", note)
        yield generated_table(summary, every=every)
    yield from _links(summary)
    if named:
        yield from table
    if summary.observation.prediction:
        said = clean(summary.observation.prediction.describe(summary.observation.encoding))
        yield Text()
        yield Hanging(Text(said, f"bold {HEAD}"))
    yield Text()


def _links(summary: Summary) -> Iterator[RenderableType]:
    """Yield the links at the top, and what is left out of them."""
    unit, measure = summary.units.kind, summary.units.measure
    if summary.observation.request.rank == "lift":
        yield Title("Unusual links", f"each pair of {unit}s once; × times what is usual for the head")
    else:
        strongest = f"in the {'layer' if measure.by_layer else 'head'} where it is strongest"
        where = "through all layers" if measure.cumulative else strongest
        yield Title("Strongest links", f"each pair of {unit}s once, {where}")
    yield StrongestLinks(summary)
    yield from _left_out(summary)


def _overview(summary: Summary) -> Iterator[RenderableType]:
    measure, heatmap = summary.units.measure, overview_heatmap(summary)
    each = _per_token(summary) if summary.cell == "link" else ""
    percent = f"in {heatmap.unit}{each}" if measure.share else f"{unit_of(measure, heatmap.unit)}{each}"
    head = "layer" if measure.by_layer else "head"
    about = _CELLS[summary.cell].format(unit=summary.units.kind, percent=percent, head=head, noun=measure.noun)
    yield Title("Overview", about)
    yield Blocks(heatmap, scale=True)


def _map(summary: Summary, head: HeadMap) -> Iterator[RenderableType]:
    measure, heatmap = summary.units.measure, head_heatmap(summary.units, head)
    yield Title(
        head_name(head.layer, head.head, measure) + f" {measure.name}" * (not measure.plain),
        f"{measure.rows}, {unit_of(measure, heatmap.unit)}{_per_token(summary)}{_threshold(summary)}",
    )
    yield Blocks(heatmap, scale=True)
    yield from legend(summary.units, head)


def _per_token(summary: Summary) -> str:
    return " per token" if summary.observation.request.per_token else ""


def _threshold(summary: Summary) -> str:
    threshold = summary.observation.request.threshold
    return f", weights from {threshold:g} on" if threshold else ""


def _looks(summary: Summary, *, every: bool) -> Iterator[RenderableType]:
    """Yield what each unit looks at, or what looks at it."""
    if summary.observation.request.received:
        yield Title(f"What looks at each {summary.units.kind} most")
        yield received_table(summary, every=every)
    else:
        looking = "word" if summary.observation.named_links is not None else summary.units.kind
        yield Title(f"What each {looking} looks at most", baseline_note(summary))
        yield attended_table(summary, every=every)


def summary_heading(observation: Observation) -> Text:
    """Return the line with the model, its backend, and the sizes."""
    line = Text(clean(observation.model.rpartition("/")[2]), "bold")
    whose = "observed: the model's own weights" if observation.backend == "observed" else observation.backend
    line.append(f" · {whose} · {_layers(observation)} · {_texts(observation)}", "not bold")
    if not observation.measure.plain:
        line.append(f" · {observation.measure.title} ({observation.measure.source})", f"bold {HEAD}")
    if observation.unobserved:
        seen = ", ".join(f"L{number}" for number in observation.layer_numbers)
        line.append(f" · only {seen} looked at: all below is said of that", "bold yellow")
    if observation.windows:
        windows = observation.windows
        line.append(f" · in {len(windows)} windows of {windows.widest} tokens, which no link leaves", "bold yellow")
    dropped = observation.encoding.dropped + (observation.keys.dropped if observation.keys else 0)
    if observation.note:
        line.append(f" · {clean(observation.note)}", "bold yellow")
    if dropped:
        line.append(f" · {count_of(dropped, 'token')} cut off", "bold yellow")
    return line


def _layers(observation: Observation) -> str:
    heads = "" if observation.measure.by_layer else f" × {count_of(observation.heads, 'head')}"
    return f"{count_of(observation.layers, 'layer')}{heads}"


def _texts(observation: Observation) -> str:
    """Describe the size of the text, or of both texts, and which map it is of a model that has three."""
    new = f" ({observation.encoding.generated} generated)" if observation.encoding.generated else ""
    count = len(observation.tokens)
    if observation.keys is not None:
        looks, sources = "looks" if count == 1 else "look", count_of(len(observation.keys), "source token")
        return f"{observation.kind} · {count_of(count, 'target token')}{new} {looks} at {sources}"
    kind = "" if observation.kind == "self" else f"{observation.kind} · "
    return f"{kind}{count_of(count, 'token')}{new} · {count_of(len(observation.words), 'word')}"


@dataclass(frozen=True, eq=False)
class StrongestLinks:
    """One line per link: ``bank → loan 0.46 L5 H7`` and a bar; on a narrow console all bars are shorter.

    Where links are ranked by lift, that stands behind the weight, and the bars are of it.
    """

    summary: Summary

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        links, units = self.summary.links, self.summary.units
        queries, keys = units.queries.names, units.keys.names
        if not links:
            yield Text(f"  none: no two {units.kind}s count here", "dim")
            return
        first, second = self._widths(options.max_width)
        per_token = is_unbounded(self.summary)
        lifted = links[0].lift is not None
        bar = max(0, min(_BAR, options.max_width - first - second - _AROUND - 3 * per_token - _LIFT * lifted))
        values = [link.weight if link.lift is None else link.lift for link in links]
        most = max(values) if per_token or lifted else 1.0
        for link, value in zip(links, values, strict=True):
            query, key = fit_right(queries[link.query_index], first), fit(keys[link.key_index], second)
            number = format_weight(link.weight, per_token=per_token)
            line = Text(f"  {query} → {key}  {number}  ", no_wrap=True, overflow="crop")
            line.append(f"{head_name(link.layer, link.head, units.measure):<8}", HEAD)
            if link.lift is not None:
                line.append(f"{formatted(link.lift, 'lift'):>{_LIFT - 2}}  ", "bold")
            length = value / most * bar
            yield line.append("█" * int(length) + "▌" * (length % 1 >= 0.5), BAR)

    def _widths(self, room: int) -> tuple[int, int]:
        """The columns of the queries' names and of the keys'; those of passages take what there is room for."""
        units, links = self.summary.units, self.summary.links
        names = [units.queries.names[link.query_index] for link in links]
        others = [units.keys.names[link.key_index] for link in links]
        most = max(LABEL, (room - _BAR - _AROUND) // 2) if units.keys.lines else LABEL
        first, second = widest(names, most), widest(others, most)
        # The weights are what the list is for: where both names do not fit beside them, the longer one is cut first.
        free = room - _AROUND - 3 * is_unbounded(self.summary) - _LIFT * any(link.lift is not None for link in links)
        first = min(first, max(_LEAST, free // 2, free - second))
        return first, min(second, max(_LEAST, free - first))


def _left_out(summary: Summary) -> Iterator[RenderableType]:
    """Yield notes on how much attention goes where no links are listed, and on what else is left out."""
    units = summary.units
    keys = units.keys
    shares = []
    if keys.special.any():
        pieces = summary.pieces.keys
        marks = " ".join(dict.fromkeys(clean(pieces.labels[i]) for i in pieces.special.nonzero()[0]))
        sink = "the first token, on which causal models rest" if keys.lines and not pieces.special[0] else ""
        owner = " and ".join(filter(None, (sink * bool(keys.special[0]), marks)))
        shares.append((summary.special_share, owner))
    if keys.punctuation.any():
        shares.append((summary.punctuation_share, "punctuation"))
    if shares:
        counted = summary.key_mask[keys.special | keys.punctuation].any()
        (share, first), *rest = shares
        others = "".join(f", {share:.0%} to {owner}" for share, owner in rest)
        where = "counted here" if counted else "see --special"
        noun = summary.units.measure.noun
        yield Note(f"{share:.0%} of the {noun} goes to {first}{others}; {where}.")
    also = []
    axes = ((units.queries, summary.query_mask), (keys, summary.key_mask))
    if any(axis.function.any() and not counting[axis.function].any() for axis, counting in axes):
        also.append(_function_words(units.language, (units.queries, keys)))
    if summary.observation.causal and units.one_text and not (summary.key_mask[0] or keys.special[0]):
        also.append(f"the first {units.kind} as a key, on which causal models rest")
    if not summary.heads.all():
        also += _positional(summary.positional)
    if summary.dominant:
        also.append(_dominant(summary.dominant))
    if also:
        yield Note(f"Also left out: {'; '.join(also)}. --all counts them.")
    if units.language != NONE and not function_words(units.language):
        yield Note(f"No function words of {clean(language_name(units.language))} are known: all words count.")


def _function_words(language: str, axes: Iterable[Axis]) -> str:
    if language == ENGLISH:
        return "function words (the, of, is …)"
    found = dict.fromkeys(plain(axis.labels[i]) for axis in axes for i in axis.function.nonzero()[0])
    return f"function words of {language_name(language)} ({', '.join(map(clean, list(found)[:3]))} …)"


def _positional(found: Sequence[Positional]) -> Iterator[str]:
    """Describe the heads that look at one offset, those of the same offset together."""
    for offset in dict.fromkeys(head.offset for head in found):
        heads = [head for head in found if head.offset == offset]
        names = [f"L{head.layer} H{head.head}" for head in heads[:_HEADS]]
        more = f" and {len(heads) - _HEADS} more" if len(heads) > _HEADS else ""
        yield f"{', '.join(names)}{more}, where each token looks at {_offset(heads[0])}"


def _dominant(found: Sequence[Positional]) -> str:
    """Describe the head that looks at its dominant offset most often, and count the others."""
    most = max(found, key=lambda head: head.share)
    more = len(found) - 1
    others = f" (and so of {more} more head{'s' * (more > 1)})" if more else ""
    return f"L{most.layer} H{most.head}'s links to {_offset(most)}, where {most.share:.0%} of the tokens look{others}"


def _offset(found: Positional) -> str:
    side, steps = "before" if found.offset < 0 else "after", abs(found.offset)
    return {0: "itself", 1: f"the one {side}"}.get(steps, f"the one {steps} {side}")
