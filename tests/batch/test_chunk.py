from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from attnviz.batch.document import Document
from attnviz.batch.engine.chunk import chunks


def documents(texts: list[str]) -> list[Document]:
    return [Document(i, "a.txt", i + 1, text) for i, text in enumerate(texts)]


@given(st.lists(st.text(max_size=8), max_size=20), st.integers(1, 6), st.integers(1, 12))
def test_chunks_hold_every_document_once_and_in_order(texts: list[str], size: int, characters: int) -> None:
    cut = list(chunks(documents(texts), size, characters))
    assert [each for chunk in cut for each in chunk.documents] == documents(texts)
    assert [chunk.number for chunk in cut] == list(range(len(cut)))
    for chunk in cut:
        assert 1 <= len(chunk.documents) <= size
        assert len(chunk.documents) == 1 or sum(len(each.text) for each in chunk.documents) <= characters


def test_a_chunk_is_held_back_no_longer_than_until_the_next_begins() -> None:
    seen = []

    def one_by_one() -> object:
        for each in documents(["a", "b", "c", "d"]):
            seen.append(each.number)
            yield each

    assert next(chunks(one_by_one(), 2)).number == 0  # type: ignore[arg-type]
    assert seen == [0, 1, 2]


def test_the_digest_tells_texts_and_places_apart() -> None:
    one = Document(0, "a.txt", 1, "text")
    others = [
        Document(0, "b.txt", 1, "text"),
        Document(0, "a.txt", 2, "text"),
        Document(0, "a.txt", 1, "Text"),
        Document(0, "a.txt", 1, "", reason="text"),
        Document(0, "a.txt", 1, "text", note="read as cp1252"),
        Document(0, "a.txt", 1, "text\ud800"),
    ]
    digests = [next(chunks([each])).digest for each in (one, *others)]
    assert len(set(digests)) == len(digests)
    assert next(chunks([Document(0, "a.txt", 1, "text")])).digest == digests[0]
