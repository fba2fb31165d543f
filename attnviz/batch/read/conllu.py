"""CoNLL-U: the sentences of a treebank."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attnviz.batch.decoding import Decoded
from attnviz.batch.read.lines import paragraphs
from attnviz.batch.read.rows import failed, found
from attnviz.batch.reading import Reading, Row
from attnviz.batch.stream import Stream

if TYPE_CHECKING:
    from conllu import TokenList


def read(stream: Stream, reading: Reading) -> Iterator[Row]:
    """The text of each sentence, with the sentence's number: its ``# text``, or else its words."""
    decoded = Decoded(stream.pieces())
    number = 0
    for _, block in paragraphs(decoded, reading.most):
        if block is None or any(line.strip() and not line.startswith("#") for line in block.split("\n")):
            number += 1
            yield failed(number, reading.too_long) if block is None else _row(number, block, decoded.note)


def _row(number: int, block: str, note: str) -> Row:
    from conllu import parse_token_and_metadata
    from conllu.exceptions import ParseException

    try:
        # All ten columns are parsed only where they are needed: that takes most of the time.
        sentence = parse_token_and_metadata(block, fields=("id", "form"))
        text = sentence.metadata.get("text") or _joined(parse_token_and_metadata(block))
    except (ParseException, ValueError) as error:
        return failed(number, f"broken sentence: {error}")
    return found(number, text, note)


def _joined(sentence: TokenList) -> str:
    """The words with the spaces that ``SpaceAfter=No`` does not take away.

    Words that are written as one (``1-2``) stand as that one; those that are not written (``1.1``) do not.
    """
    text, within = "", 0
    for token in sentence:
        place = token["id"]
        if isinstance(place, tuple):
            if place[1] == ".":
                continue
            within = place[2]
        elif place is not None and place <= within:
            continue
        glued = (token.get("misc") or {}).get("SpaceAfter") == "No"
        text += token["form"] + ("" if glued else " ")
    return text.rstrip(" ")
