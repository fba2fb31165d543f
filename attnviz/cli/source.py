"""Where a command's text and attention come from."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from weakref import WeakSet

from attnviz.cli import console
from attnviz.cli.options import ModelOptions, TextOptions
from attnviz.cli.reading import decode_argument, read_file, read_standard_input, read_words
from attnviz.errors import UsageError, few

if TYPE_CHECKING:
    from attnviz.interface import Model
    from attnviz.record import Observation, Record, Request, WeightsName


def attend_source(
    text: str | None,
    reading: TextOptions,
    start: list[str] | None,
    model: ModelOptions,
    *,
    max_memory: int | None = None,
    neurons: bool = False,
    weights: WeightsName | None = None,
    of: str | None = None,
    against: str | None = None,
) -> tuple[Record, Model | None]:
    """The record of all weights of the text, and the model that made it; of a saved record there is no model.

    ``start`` has the saved record that is read in place of a text.

    Raises:
        UsageError: no text, or more than one source.
        InputError: a text or record that can't be read.
        ModelError: a model that can't be loaded.
    """
    if start:
        if text is not None or reading.file is not None or len(start) > 1:
            raise UsageError(
                "a record holds the whole text: --from picks a passage only where something is shown or drawn",
                hint="Leave --from out.",
            )
        from attnviz.analysis.text.measures import measured

        _refuse_answer(of, against)
        return measured(read_saved(start[0], reading), weights), None
    reading.require_whole()
    text, words = read_text(text, reading.file), read_words(reading.words)
    loaded = model.load()
    from attnviz.cli.progress import run_progress

    with run_progress(loaded) as progress:
        found = loaded.attend(
            text, **reading.given(), words=words, max_memory=max_memory, neurons=neurons, weights=weights,
            of=of, against=against, observers=[progress],
        )  # fmt: skip
    explain(loaded)
    return found, loaded


def observe_source(
    text: str | None,
    reading: TextOptions,
    start: list[str] | None,
    model: ModelOptions,
    request: Request,
    *,
    scores: bool = False,
    neurons: bool = False,
    many: bool = False,
) -> tuple[Observation, Model | None]:
    """What is asked of a text, observed; and the model. Of a saved record there is no model.

    ``start`` has a passage of the text, from which it is looked; without a text a record to be read comes before it.
    ``scores`` and ``neurons`` are kept as ``Model.inspect`` does. ``many`` says that the command reads pairs with
    ``--pairs``, so that a text of them is no text.

    Raises:
        UsageError, InputError, ModelError: as ``attend_source``; also for what the ``request`` asks of the text.
    """
    if start and (text is not None or reading.file is not None) and _is_file(start[0]):
        _refuse_both(start[0])
    record, *passages = start if start and text is None and reading.file is None else (None, *(start or ()))
    if len(passages) > 1:
        raise UsageError(f"--from names {len(passages)} passages: {few(passages)}", hint="Give one of them.")
    request = replace(request, passage=passages[0] if passages else None)
    if record is not None:
        from attnviz.analysis.text.replaying import replay

        _refuse_answer(request.of, request.against)
        return replay(read_saved(record, reading), request), None
    text, words = read_text(text, reading.file, many=many), read_words(reading.words)
    loaded = model.load()
    from attnviz.cli.progress import run_progress

    only = request.heads.layers if loaded.backend.name == "native" else None
    with run_progress(loaded, only) as progress:
        found = loaded.inspect(
            text, **reading.given(), request=request, words=words, windows=reading.windows, stride=reading.stride,
            scores=scores, neurons=neurons, observers=[progress],
        )  # fmt: skip
    explain(loaded)
    return found, loaded


def read_saved(record: str, reading: TextOptions) -> Record:
    """The record in a file.

    Raises:
        UsageError: options of a text are given with it.
        InputError: it can't be read.
    """
    if reading != TextOptions():
        _refuse_both(record)
    from attnviz.attention.memory import free_memory
    from attnviz.record import read

    return read(Path(record), most=free_memory())


def _refuse_answer(of: object, against: object) -> None:
    if of is not None or against is not None:
        raise UsageError(
            "a record holds its numbers, of one answer: --of and --against are for texts", hint="Leave them out."
        )


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # it is no name that a file could have
        return False


def _refuse_both(record: str) -> NoReturn:
    raise UsageError(
        f"both a text and the record {record} are given", hint="A record holds its text: give --from alone."
    )


_explained: WeakSet[Model] = WeakSet()


def explain(model: Model) -> None:
    """Say why the model is hosted or observed, where it is, and what is not read; once of a model."""
    if model in _explained:
        return
    _explained.add(model)
    if model.backend.name == "observed":
        console.note(f"observed: the model attends by itself, these are its own weights ({model.reason})")
    elif model.reason:
        console.note(f"hosted: transformers runs the model, our kernel is its attention ({model.reason})")
    elif model.backend.name == "native" and (silent := model.backend.silent):
        console.note(silent)
    if unread := model.backend.unread:
        console.warn(
            f"{model.name} has tensors of no use for a model of its config: {few(unread)}",
            "transformers passes them over as well; are config.json and the weights of the same model?",
        )


def read_text(text: str | None, file: Path | None, command: str = "show", *, many: bool = False) -> str:
    """The text of the argument, of ``file``, or of standard input (``-``), for a ``command``.

    It is said where its lines are those of pairs, which are read as one text.

    Raises:
        UsageError: none is given, or two are; the text is of pairs, and the command reads ``many`` with ``--pairs``.
        InputError: the file can't be read, is no UTF-8, or more than memory holds.
    """
    if text is not None and file is not None:
        raise UsageError("both a text and --file are given", hint="Give one of them.")
    if text is None and file is None:
        raise UsageError(
            "no text is given",
            hint=f'Give a sentence: attnviz {command} "The bank approved the loan." (or --file, or -)',
        )
    if text is not None and _is_file(text):
        console.note(f"the text is {text!r} itself; the file of that name is read with --file {shlex.quote(text)}")
    if file is not None:
        found, name = read_file(file), str(file)
    elif text == "-":
        found, name = read_standard_input(), "standard input"
    else:
        found, name = decode_argument(text or ""), "the text"
    _say_pairs(found, name, many=many)
    return found


def _say_pairs(text: str, name: str, *, many: bool) -> None:
    """Say that a text looks like pairs, line by line, and is read as one; as an error where ``--pairs`` would do."""
    from attnviz.encoding.pair_lines import SEPARATOR, pair_lines

    count = pair_lines(text)
    if not count:
        return
    found = f"{name} looks like {count:,} {'pair' if count == 1 else 'pairs'} of texts, 'source {SEPARATOR} target'"
    if many:
        raise UsageError(
            f"{found}, and is given as one source",
            hint="Give the file with --pairs, or the target of one pair with --target.",
        )
    console.note(f"{found}, and is read as one text; give the second with --pair or --target")
