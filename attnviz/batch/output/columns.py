"""The tables of a run and their columns: what the Parquet schema says of itself, and the README of them."""

from __future__ import annotations

from dataclasses import dataclass

from attnviz.analysis.corpus.metrics import METRICS


@dataclass(frozen=True)
class Column:
    """A column: its Arrow ``type`` by name, its unit (empty where it has none), and what it is."""

    name: str
    type: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table: its name, what one row is, and its columns in order."""

    name: str
    row: str
    columns: tuple[Column, ...]


MEANS = ("entropy", "normalised_entropy", "distance", "special", "punctuation", "sink", "confidence")
"""The figures of which a document has the mean over all of its heads."""

_DOCUMENT = Column("document", "int64", "", "the document's number in the run, from 0: joins the tables")
_LAYER = Column("layer", "int16", "", "the model's own number of the layer, from 0")
_HEAD = Column("head", "int16", "", "the head in its layer, from 0")
_METRICS = tuple(
    Column(metric.name, "int32" if metric.kind == "position" else "float32", metric.unit, metric.meaning)
    for metric in METRICS
)

DOCUMENTS = Table("documents", "a document", (
    _DOCUMENT,
    Column("id", "string", "", "SHA-256 of its text, or of where it stands and what was wrong with it"),
    Column("source", "string", "", "the file or address that it was read from; - is standard input"),
    Column("row", "int64", "", "its row, sentence, line or paragraph there, from 1, without headers and blank lines; "
           "null where it is the whole file"),
    Column("line", "int64", "", "the line that it begins in, as an editor shows it, from 1; null where it is the whole "
           "file, and in Parquet"),
    Column("status", "string", "", "ok or failed; what failed has no rows in the other tables"),
    Column("reason", "string", "", "why it failed, else null"),
    Column("note", "string", "", "what else is to be known, such as an encoding that was guessed; null without any"),
    Column("characters", "int64", "characters", "the length of its text; null where that could not be read"),
    Column("words", "int64", "words", "its words; special tokens are none"),
    Column("tokens", "int64", "tokens", "all tokens that the model read, special ones too"),
    Column("special_tokens", "int64", "tokens", "those that the tokenizer added, such as [CLS] and [SEP]"),
    Column("distinct_tokens", "int64", "tokens", "how many different tokens its text has"),
    Column("tokens_per_word", "float32", "tokens", "tokens of its text by its words"),
    Column("windows", "int32", "windows", "in how many parts it was read: 1 where the model read it at once"),
    *(Column(column.name, "float32", column.unit, f"the mean of heads.{column.name} over all heads")
      for column in _METRICS if column.name in MEANS),
    Column("seconds", "float32", "s", "its share of the time that was spent on it and those that ran with it"),
))  # fmt: skip

HEADS = Table("heads", "a head of a layer in a document", (_DOCUMENT, _LAYER, _HEAD, *_METRICS))

LINKS = Table("links", "one of the strongest links of a layer in a document, the strongest first", (
    _DOCUMENT,
    _LAYER,
    _HEAD,
    Column("query", "string", "", "the word that looks, as the text writes it"),
    Column("key", "string", "", "the word that is looked at"),
    Column("query_position", "int32", "words", "which word of the document, from 0; a special token is one too"),
    Column("key_position", "int32", "words", "the same of the key; smaller than query_position: the head looks back"),
    Column("distance", "int32", "words", "|query_position − key_position|; null between the two texts of a pair"),
    Column("weight", "float32", "share", "summed over the key's tokens, the mean over the query's (Clark et al. 2019)"),
))  # fmt: skip

TABLES = (DOCUMENTS, HEADS, LINKS)
"""All tables."""
TABLE_NAMES = tuple(kind.name for kind in TABLES)


def columns_as_markdown() -> str:
    """The columns of every table as Markdown, for the README."""
    return "\n".join(map(_as_markdown, TABLES))


def _as_markdown(kind: Table) -> str:
    head = (f"`{kind.name}`: one row is {kind.row}", "", "| column | type | unit | what |", "|---|---|---|---|")
    rows = (f"| `{each.name}` | {each.type} | {each.unit} | {_in_cell(each.meaning)} |" for each in kind.columns)
    return "\n".join([*head, *rows, ""])


def _in_cell(text: str) -> str:
    return text.replace("|", "\\|")
