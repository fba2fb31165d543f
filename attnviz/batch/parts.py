"""The files of a run's parts: each table of some consecutive documents, in each format that was asked for.

The part of the documents is written last and says what belongs to it, so that a run that is killed leaves behind a
whole part, or one that counts as none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from attnviz.batch.columns import TABLES
from attnviz.batch.formats import WRITERS
from attnviz.batch.storage import Storage
from attnviz.batch.tables import Tables
from attnviz.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = re.compile(r"part-(\d{8,})\.(\w+)")
_FACTS = b"attnviz.part"
"""The key in the metadata of a documents' part under which its facts stand."""


@dataclass(frozen=True)
class PartFacts:
    """What a part holds: the ``digest`` of its texts, as its reader made it, and how much there is of everything.

    ``sizes`` are the bytes of the files that belong to it, by their folder, ``check`` is what the check of its
    documents found, empty where none was made.
    """

    number: int
    digest: str
    documents: int
    failed: int
    tokens: int
    links: int
    seconds: float
    sizes: Mapping[str, int]
    check: Mapping[str, Any]


@dataclass(frozen=True)
class PartFiles:
    """The parts in a ``storage``, in Parquet and beside it in ``formats``. Any process may write any of them."""

    storage: Storage
    formats: tuple[str, ...] = ()

    def finished(self, number: int, digest: str) -> PartFacts | None:
        """What the part ``number`` holds, if all of it is there; None if it is still to be made.

        Raises:
            UsageError: it is there, and of texts with another ``digest``.
        """
        facts = self.facts(number)
        if facts is not None and facts.digest != digest:
            raise UsageError(
                f"the texts are not those that {self.storage.where} was begun with: "
                f"part {number}, of {facts.documents:,} documents, is of others",
                hint="Texts can't be changed or added. Begin anew with --overwrite, or give another folder.",
            )
        return facts

    def facts(self, number: int) -> PartFacts | None:
        """What the part ``number`` holds; None where it is not there, or a file that belongs to it is not."""
        file = self.storage.open(_name("documents", "parquet", number))
        if file is None:
            return None
        facts = _read_facts(file)
        if facts is None or facts.number != number:
            return None
        whole = all(
            self.storage.size(f"{folder}/{_file(number, folder.rpartition('.')[2])}") == size
            for folder, size in facts.sizes.items()
        )
        return facts if whole else None

    def write(self, number: int, digest: str, tables: Tables, check: Mapping[str, Any] | None = None) -> PartFacts:
        """Write the part ``number``, over what there may be of it; ``check`` is kept with it.

        Raises:
            UsageError: it can't be written.
        """
        sizes: dict[str, int] = {}
        for name, table in tables.items():
            for suffix in (*self.formats, "parquet"):
                if name == "documents" and suffix == "parquet":
                    continue
                content = memoryview(WRITERS[suffix](table))
                self.storage.write(_name(name, suffix, number), content)
                sizes[f"{name}.{suffix}"] = content.nbytes
        facts = _facts(number, digest, tables, sizes, check or {})
        about = {**(tables.documents.schema.metadata or {}), _FACTS: json.dumps(asdict(facts))}
        documents = WRITERS["parquet"](tables.documents.replace_schema_metadata(about))
        self.storage.write(_name("documents", "parquet", number), memoryview(documents))
        return facts

    def numbers(self) -> list[int]:
        """The numbers of all parts, in order."""
        return sorted(number for number, _ in _parts(self.storage.names("documents.parquet"), "parquet"))

    def read(self, number: int) -> Tables:
        """The tables of a part.

        Raises:
            UsageError: it is not there, or damaged.
        """
        return Tables(**{table: self._read(_name(table, "parquet", number)) for table in TABLES})

    def _read(self, name: str) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        shown, hint = f"{self.storage.where}/{name}", "Delete it and give the same command again: it is made anew."
        file = self.storage.open(name)
        if file is None:
            raise UsageError(f"{shown} is missing", hint="Give the same command again: it is made anew.")
        with file:
            try:
                table = pq.ParquetFile(file).read()
            except (pa.ArrowException, OSError) as error:
                raise UsageError(f"{shown} is damaged ({str(error).splitlines()[0]})", hint=hint) from None
        about = {key: value for key, value in (table.schema.metadata or {}).items() if key != _FACTS}
        return table.replace_schema_metadata(about)

    def sweep(self) -> None:
        """Delete what is half-written, by processes that are no more."""
        for folder in ("", *self.folders()):
            self.storage.sweep(folder)

    def folders(self) -> list[str]:
        """The folders that the parts lie in."""
        return _folders(("parquet", *self.formats))


def clear(storage: Storage) -> None:
    """Delete all parts, in whatever format, and their folders where nothing else is in them.

    Those of the documents in Parquet go first: a part of which some is left is none.
    """
    for folder in _folders(tuple(WRITERS)):
        for _, name in _parts(storage.names(folder), folder.rpartition(".")[2]):
            storage.delete(f"{folder}/{name}")
        storage.delete(folder)


def _folders(suffixes: Sequence[str]) -> list[str]:
    return [f"{table}.{suffix}" for suffix in suffixes for table in TABLES]


def _parts(names: list[str], suffix: str) -> Iterator[tuple[int, str]]:
    for name in names:
        match = _NAME.fullmatch(name)
        if match and match[2] == suffix:
            yield int(match[1]), name


def _file(number: int, suffix: str) -> str:
    return f"part-{number:08}.{suffix}"


def _name(table: str, suffix: str, number: int) -> str:
    return f"{table}.{suffix}/{_file(number, suffix)}"


def _facts(number: int, digest: str, tables: Tables, sizes: Mapping[str, int], check: Mapping[str, Any]) -> PartFacts:
    import pyarrow.compute as pc

    documents = tables.documents
    return PartFacts(
        number=number,
        digest=digest,
        documents=documents.num_rows,
        failed=pc.sum(pc.equal(documents["status"], "failed")).as_py() or 0,
        tokens=pc.sum(documents["tokens"]).as_py() or 0,
        links=tables.links.num_rows,
        seconds=pc.sum(documents["seconds"]).as_py() or 0.0,
        sizes=sizes,
        check=check,
    )


def _read_facts(file: BinaryIO) -> PartFacts | None:
    """The facts in a documents' part; None where it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with file:
        try:
            read: dict[str, Any] = json.loads((pq.read_schema(file).metadata or {})[_FACTS])
            return PartFacts(**read)
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
            return None
