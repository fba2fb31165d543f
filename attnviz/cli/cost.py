"""``attnviz cost``: estimate the cost of a text or a corpus before it is run."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnviz.cli import console, source
from attnviz.cli.options import ModelOptions, spread
from attnviz.errors import UnsupportedModel, UsageError

if TYPE_CHECKING:
    from attnviz.analysis.corpus.cost import CorpusCost
    from attnviz.interface import Model
    from attnviz.model.cost.estimates import ModelShape
    from attnviz.model.cost.measuring import Rates
    from attnviz.model.overview import Overview
    from attnviz.record import Request
    from attnviz.render.terminal.corpus_cost import CorpusEstimate
    from attnviz.render.terminal.cost import Estimate

SAMPLE_TEXT = "The bank approved the loan because the company had strong financials."
"""The text that is repeated to measure the model's time."""
_CORPUS = "Corpus"
"""A panel of the help."""
_MOST, _MOST_TOKENS = 10**15, 10**18
"""The most documents of a corpus, and the most tokens in all."""


def _whole(value: str) -> int:
    """Parse ``1e9``, ``1_000_000`` or ``2.5e6`` as a whole number of documents."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not (number.is_finite() and 1 <= number <= _MOST and number == number.to_integral_value()):
        raise UsageError(
            f"--documents is {value!r}, expected a whole number from 1 to 1e15",
            hint="Write it such as 1000000, 1_000_000, 1e9 or 2.5e6.",
        )
    return int(number)


@spread
def cost(
    text: Annotated[str | None, typer.Argument(help="The text; - reads standard input.")] = None,
    *,
    tokens: Annotated[
        int | None,
        typer.Option(
            "--tokens",
            "-n",
            min=1,
            max=10**12,
            metavar="N",
            help="N tokens instead of a text; for a corpus, N per document (25 by default).",
        ),
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Read the text from a UTF-8 file.")] = None,
    documents: Annotated[
        int | None,
        typer.Option(
            parser=_whole,
            metavar="N",
            help="A corpus of N such texts, for instance 1e9, and its tables.",
            rich_help_panel=_CORPUS,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10**6,
            metavar="N",
            help="Links per document and layer in its tables.",
            show_default="8",
            rich_help_panel=_CORPUS,
        ),
    ] = None,
    model: ModelOptions,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
    measure: Annotated[bool, typer.Option(help="Run the model briefly to estimate the time.")] = True,
) -> None:
    """Estimate the cost of a text, or a whole corpus: scores, memory and time."""
    given = text is not None or file is not None
    if tokens is not None and given:
        raise UsageError("both a text and --tokens are given", hint="Give one of them.")
    if top is not None and documents is None:
        raise UsageError("--top is given, and no --documents that it could be of", hint="Leave --top out.")
    if tokens is None and (given or documents is None):
        text = source.read_text(text, file, "cost")
    loaded = model.load()
    from attnviz.model import overview
    from attnviz.render.terminal import corpus_cost as corpora
    from attnviz.render.terminal import cost as texts

    found = overview.overview(loaded.checkpoint)
    if found.backend == "not at all":
        raise UnsupportedModel(f"{found.name}: {found.reason}")
    length = tokens if text is None else _count(loaded, text)
    if documents is None:
        one = _text(loaded, found, length or 0, measure=measure)
        shown, printed = texts.cost_table(one), texts.cost_document(one)
    else:
        corpus = _corpus(loaded, found, documents, length, top, measure=measure)
        shown, printed = corpora.corpus_cost_table(corpus), corpora.corpus_cost_document(corpus)
    if as_json:
        console.print_json(printed)
    else:
        console.output().print(shown)


def _text(model: Model, found: Overview, tokens: int, *, measure: bool) -> Estimate:
    """Return the cost of one text."""
    from attnviz.model import overview
    from attnviz.model.cost import estimates as costs
    from attnviz.model.cost.limits import free_device_memory
    from attnviz.render.terminal.cost import Estimate

    shape = overview.checkpoint_shape(model.checkpoint)
    needed = costs.estimate_cost(shape, tokens, bytes_=model.options.dtype.itemsize)
    free = free_device_memory(model.options)
    seconds = _rates(model).seconds(needed, shape) if measure and _fits(needed.model, free) else None
    return Estimate(found, shape, needed, free, seconds)


def _corpus(
    model: Model, found: Overview, documents: int, tokens: int | None, top: int | None, *, measure: bool
) -> CorpusEstimate:
    """Return the cost of ``documents`` documents of ``tokens`` tokens."""
    from attnviz.analysis.corpus import cost as costs
    from attnviz.model import overview
    from attnviz.model.cost.limits import free_device_memory
    from attnviz.record import Request
    from attnviz.render.terminal.corpus_cost import CorpusEstimate

    shape, bytes_ = overview.checkpoint_shape(model.checkpoint), model.options.dtype.itemsize
    shape = replace(shape, stacks=shape.stacks[:1])  # in an encoder–decoder only the encoder reads them
    length = costs.SENTENCE if tokens is None else tokens
    if documents * length > _MOST_TOKENS:
        raise UsageError(f"{documents:,} documents of {length:,} tokens are more than there is: 1e18 tokens at most")
    request = Request() if top is None else Request(links=top)
    needed = costs.corpus_cost(shape, documents, length, top=request.links, bytes_=bytes_)
    free = free_device_memory(model.options)
    each = _pace(model, shape, needed, request) if measure and _fits(needed.model, free) else None
    return CorpusEstimate(found, shape, needed, bytes_, free, None if each is None else each * documents)


def _pace(model: Model, shape: ModelShape, needed: CorpusCost, request: Request) -> float:
    """Return the seconds per document of a corpus."""
    from attnviz.analysis.corpus.cost import is_short, pace, reading
    from attnviz.model.cost.estimates import estimate_cost as cost_of

    read, windows = reading(shape, needed.tokens)
    if windows > 1 or not is_short(shape, read):
        return windows * _rates(model).seconds(cost_of(shape, read, bytes_=model.options.dtype.itemsize), shape)
    with console.errors().status("measuring …"):
        return pace(model.backend, model.encode(SAMPLE_TEXT).ids, read, request)


def _count(model: Model, text: str) -> int:
    """Return how many tokens ``text`` has, whether or not the model has positions for them."""
    from attnviz.encoding import encode

    return len(encode(model.checkpoint.tokenizer, text))


def _fits(size: int | None, free: int | None) -> bool:
    """Whether a model of this size can be measured."""
    return free is None or (size or 0) < free


def _rates(model: Model) -> Rates:
    """Measure how fast this machine is with a short run."""
    from attnviz.model import overview
    from attnviz.model.cost.measuring import measure_rates

    with console.errors().status("measuring …"):
        ids = model.encode(SAMPLE_TEXT).ids
        return measure_rates(
            model.backend, overview.checkpoint_shape(model.checkpoint), ids, bytes_=model.options.dtype.itemsize
        )
