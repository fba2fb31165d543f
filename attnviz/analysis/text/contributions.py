"""What adds to a logit: a table of the heads, MLPs, embeddings and biases of a model, or of the words behind heads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.effects.places import HeadPlace
from attnviz.analysis.table import Column, Table, by_size
from attnviz.analysis.text.units import Axis, read_in
from attnviz.attention.tile import Kind
from attnviz.encoding import Encoding
from attnviz.errors import not_one_of, short
from attnviz.model.contributions import Contributions, Numbers

By = Literal["head", "word"]
"""What a row is: a part of the model, or a word that comes through a head."""
MOST = 100_000
"""How many words of heads are listed: of more, those that add or take most."""
_WHERE = (
    Column(
        "component",
        "a head, an MLP, what mixes tokens in a layer without attention, the embeddings of the token itself, or "
        "biases, which no text changes",
    ),
    Column("part", "head, MLP, mixer, embedding or bias", shown=False),
    Column("layer", "the layer of a head, MLP or mixer", "count", shown=False),
    Column("head", "the head", "count", shown=False),
    Column("map", "which attention of an encoder–decoder the head is of", shown=False),
)
_ADDS = Column(
    "contribution",
    "what it adds to the logit directly, every norm frozen at the size that it found: its output times the norms' "
    "weights, times what the token is scored by (direct logit attribution, Elhage et al. 2021)",
    "change",
)
_STRONGEST = (
    Column("word", "the word from which most comes through the head, or is taken", of="contribution"),
    Column("of_word", "how much of the contribution comes from it", "change"),
    Column("second_word", "the word after it", of="of_second"),
    Column("of_second", "how much of the contribution comes from that one", "change"),
)
_PAIRS = (("word", "of_word"), ("second_word", "of_second"))
_WORDS = (
    Column("word", "the word that the head reads, with the number of its occurrence where there are several"),
    Column("word_index", "the number of the word, from 0", "count", shown=False),
)
_DIRECT = (
    "Direct effects only: what a part does through later heads and MLPs, which read it, is counted as theirs. Norms "
    "are frozen at the size that they found."
)


def contributions_table(
    found: Contributions, encoding: Encoding, keys: Encoding | None, *, model: str, by: By = "head"
) -> Table:
    """Rank what adds to a logit by how much it adds or takes.

    Args:
        found: the contributions.
        encoding: the text that they are of; of an encoder–decoder the decoder's.
        keys: the encoder's text.
        model: the name of the model.
        by: a row for each part of the model, or for each word behind each head.

    Raises:
        UsageError: there is no such way to list them.
    """
    if by not in get_args(By):
        raise not_one_of("`by`", str(by), get_args(By))
    own = read_in("word", encoding, None, ()).queries
    other = own if keys is None else read_in("word", keys, None, ()).queries
    axes: dict[Kind, Axis] = {kind: other if kind == "cross" else own for kind in found.heads}
    rows = list(_parts(found, axes) if by == "head" else _words(found, axes))
    notes, columns = _notes(found), [*_WHERE, _ADDS, *_STRONGEST]
    if by == "word":  # all rows are of heads, which views name
        columns = [replace(each, shown=each.name == "map") for each in _WHERE] + [*_WORDS, _ADDS]
    values = {each.name: _column([row.get(each.name) for row in rows], each) for each in columns}
    table = Table(
        "contributions", _title(found, own), tuple(columns), values, about=_about(found, encoding, own, model),
        notes=tuple(notes),
    )  # fmt: skip
    table = by_size(table, "contribution")
    if len(table) > MOST:
        note = f"Of {len(table):,} words of heads the {MOST:,} that add or take most are listed."
        table = replace(table.top(MOST), notes=(*table.notes, note))
    return table if keys is not None else table.without("map")


def _column(values: list[Any], column: Column) -> NDArray[Any]:
    return np.array(values, float if column.kind == "change" else object)


def _by_word(values: Numbers, axis: Axis) -> Numbers:
    """What comes from each token (…, M), by words (…, m)."""
    return np.asarray(np.add.reduceat(values, axis.starts, axis=-1))


def _name(kind: Kind, layer: int, head: int) -> dict[str, Any]:
    """The columns that say which head it is."""
    found: dict[str, Any] = {"component": HeadPlace(kind, layer, head).name, "part": "head"}
    return found | {"layer": layer, "head": head} | ({} if kind == "self" else {"map": kind})


def _parts(found: Contributions, axes: dict[Kind, Axis]) -> Iterator[dict[str, Any]]:
    """A row for each part of the model."""
    for kind, heads in found.heads.items():
        words, names = _by_word(found.sources[kind], axes[kind]), axes[kind].names
        for (place, head), adds in np.ndenumerate(heads):
            layer, row = found.layers[kind][place], words[place, head]
            strongest: dict[str, Any] = {}
            for at, (word, of) in zip(np.argsort(-abs(row), kind="stable").tolist(), _PAIRS, strict=False):
                strongest |= {word: names[at], of: row[at]}
            yield _name(kind, layer, head) | {"contribution": adds} | strongest
    for (layer, name), written in found.mixers.items():
        yield {"component": f"L{layer} {name}", "part": "mixer", "layer": layer, "contribution": written}
    for layer, written in enumerate(found.mlps.tolist()):
        yield {"component": f"L{layer} MLP", "part": "MLP", "layer": layer, "contribution": written}
    for part, several in (("embedding", found.embeddings), ("bias", found.biases)):
        for name, value in several.items():
            yield {"component": name, "part": part, "contribution": value}


def _words(found: Contributions, axes: dict[Kind, Axis]) -> Iterator[dict[str, Any]]:
    """A row for each word behind each head."""
    for kind, sources in found.sources.items():
        names = axes[kind].names
        for (place, head, word), adds in np.ndenumerate(_by_word(sources, axes[kind])):
            if adds:
                yield _name(kind, found.layers[kind][place], head) | {
                    "word": names[word],
                    "word_index": word,
                    "contribution": adds,
                }


def _title(found: Contributions, axis: Axis) -> str:
    inside = found.target.of == "token" and _word(found, axis) < len(axis) - 1
    where = f" after {short(axis.names[_word(found, axis)])}" if inside else ""
    return f"What adds to {found.target.title}{where}?"


def _word(found: Contributions, axis: Axis) -> int:
    return int(np.searchsorted(axis.starts, found.row, side="right")) - 1


def _about(found: Contributions, encoding: Encoding, axis: Axis, model: str) -> dict[str, Any]:
    target, capped = found.target, {} if found.capped is None else {"capped": found.capped}
    against = {} if target.against is None else {"against": target.against.name, "against_id": target.against.number}
    return {
        "model": model, "text": encoding.text, "of": target.of, "at": axis.names[_word(found, axis)],
        "target": target.target.name, "target_id": target.target.number, **against,
        "predicted": target.predicted.name, "probability": found.probability,
        "logit": found.logit, "sum": found.total, "apart": found.total - found.logit, **capped,
    }  # fmt: skip


def _notes(found: Contributions) -> list[str]:
    target = found.target
    sums = dict[str, float]()
    sums["heads"] = float(sum(each.sum() for each in found.heads.values()))
    sums |= {"layers that do not attend": sum(found.mixers.values())} if found.mixers else {}
    sums["MLPs"] = float(found.mlps.sum())
    sums["embeddings"] = sum(found.embeddings.values())
    sums |= {"biases": sum(found.biases.values())} if found.biases else {}
    listed = ", ".join(f"{name} {_number(value, '+')}" for name, value in sums.items())
    what = "logit" if target.against is None else "logit difference"
    notes = [
        *target.notes,
        f"All {listed}: together {_number(found.total)}, which is the {what} "
        f"({_number(found.logit)}, {_apart(found)}).",
    ]
    if found.capped is not None:
        notes.append(f"That is before the model's soft cap, which makes {_number(found.capped)} of it.")
    said = f"The model predicts {target.predicted.shown}"
    if target.predicted != target.target:
        said += f", and {target.target.shown} with a probability of {100 * found.probability:.2g} %."
    else:
        said += f", with a probability of {100 * found.probability:.3g} %."
    direct = _DIRECT
    if "MLP biases" in found.biases:
        direct += " The output biases of MLPs are among the biases."
    if found.mixers:
        direct += " What comes from which word through a layer that does not attend is not known."
    if "cross" in found.heads:
        direct += " The encoder adds through the cross heads alone."
    return [*notes, said, direct]


def _number(value: float, sign: str = "") -> str:
    return f"{value:{sign}.3f}".replace("-", "−")


def _apart(found: Contributions) -> str:
    apart = abs(found.total - found.logit)
    return f"rounding parts them by {apart:.0e}" if apart else "exactly"
