"""CoNLL-U: the sentences of a treebank."""

from __future__ import annotations

from collections.abc import Iterator

from attnviz.analysis.corpus.trees import spelled, surface
from attnviz.batch.input.decoding import Decoded
from attnviz.batch.input.formats.lines import paragraphs
from attnviz.batch.input.formats.rows import failed_row, text_row, with_fields
from attnviz.batch.input.options import InputRow, ReadOptions
from attnviz.batch.input.stream import Stream


def read_conllu(stream: Stream, reading: ReadOptions) -> Iterator[InputRow]:
    """Read each sentence of a treebank: its ``# text`` where it has one, else its words; or its lines as they are."""
    decoded = Decoded(stream.pieces())
    for line, block in paragraphs(decoded, reading.most):
        lines = [] if block is None else block.split("\n")
        comments = [line for line in lines if line.startswith("#")]
        if block is None:
            yield failed_row(line, reading.too_long)
        elif len(lines) > len(comments) and reading.trees:
            yield text_row(line, block or "", decoded.note)
        elif len(lines) > len(comments):
            row = _row(line, lines, comments, decoded.note)
            yield with_fields(row, _comments(comments), reading) if reading.keep or reading.target else row


def _comments(comments: list[str]) -> dict[str, str | None]:
    """The comments of a sentence by name, without its text."""
    from conllu import parse_token_and_metadata

    said = parse_token_and_metadata("\n".join(comments)).metadata if comments else {}
    return {name: value for name, value in said.items() if name != "text"}


def _row(number: int, lines: list[str], comments: list[str], note: str) -> InputRow:
    from conllu.exceptions import ParseException

    try:
        text = _given(lines, comments) or _joined(lines)
    except (ParseException, ValueError) as error:
        return failed_row(number, f"broken sentence: {error}")
    return text_row(number, text, note)


def _given(lines: list[str], comments: list[str]) -> str | None:
    """The ``# text`` of a sentence whose lines have columns. Parsing these as well would take ten times as long."""
    from conllu import parse_token_and_metadata

    if not comments or any("\t" not in line and line[0] != "#" for line in lines):
        return None
    text: str | None = parse_token_and_metadata("\n".join(comments)).metadata.get("text")
    return text


def _joined(lines: list[str]) -> str:
    """Join the words of a sentence that has no ``# text``."""
    from conllu import parse_token_and_metadata

    sentence = parse_token_and_metadata("\n".join(lines))
    return sentence.metadata.get("text") or spelled(surface(sentence))
