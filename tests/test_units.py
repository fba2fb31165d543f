"""Sentences, lines and paragraphs over the tokens of an encoding."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnviz.encoding import Encoding, LargeUnit, Spans, append_generated, encode, large_units
from attnviz.encoding.boundaries import cuts_of
from tests import tiny
from tests.vocabularies import KINDS, gpt2

UNITS: tuple[LargeUnit, ...] = ("sentence", "line", "paragraph")


def parts_of(unit: LargeUnit, text: str) -> list[str]:
    cuts = [0, *cuts_of(unit, text), len(text)]
    return [text[start:stop].strip() for start, stop in pairwise(cuts)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It was big. The loan? Yes!", ["It was big.", "The loan?", "Yes!"]),
        ('He said "No!" and left. "Why?" she asked.', ['He said "No!" and left.', '"Why?" she asked.']),
        ("Dr. Smith met J. R. Jones. He left.", ["Dr. Smith met J. R. Jones.", "He left."]),
        ("In 1999. It costs 3.50... Right?! (No.) Ok", ["In 1999.", "It costs 3.50...", "Right?!", "(No.)", "Ok"]),
        ("e.g. Paris, z.B. Berlin, etc. and so on. End", ["e.g. Paris, z.B. Berlin, etc. and so on.", "End"]),
        ("今天很好。我们去！“好吗？”他说。", ["今天很好。", "我们去！", "“好吗？”", "他说。"]),
        ("नमस्ते। आप कैसे हैं? ठीक।", ["नमस्ते।", "आप कैसे हैं?", "ठीक।"]),
        ("The bank, and\nthe loan was\nbig.\nGood", ["The bank, and\nthe loan was\nbig.", "Good"]),
        ("Question: who?\r\n1. Item one. More\r\n2. Second", ["Question: who?", "1. Item one.", "More", "2. Second"]),
        ("A title\n\nand more", ["A title", "and more"]),
        ("def f(x):\n    return x.y != 1?2:3\nprint(f)", ["def f(x):", "return x.y != 1?2:3", "print(f)"]),
        ("https://a.b/c?d=e is v1.2.3 of a.B", ["https://a.b/c?d=e is v1.2.3 of a.B"]),
        ("Wait… What", ["Wait…", "What"]),
    ],
)  # fmt: skip
def test_a_sentence_ends_where_a_reader_ends_it(text: str, sentences: list[str]) -> None:
    assert parts_of("sentence", text) == sentences


def test_blank_lines_part_paragraphs_and_are_no_lines() -> None:
    text = "one\ntwo\n\n \n three\r\n\r\nfour\ffive"
    assert parts_of("paragraph", text) == ["one\ntwo", "three", "four", "five"]
    assert parts_of("line", text) == ["one", "two", "three", "four", "five"]


@settings(deadline=None)
@given(st.text(alphabet="aB.!?。 \n\r\f\"'”1…-", max_size=60))
def test_cuts_rise_and_each_unit_is_of_one_that_is_larger(text: str) -> None:
    paragraphs, lines, sentences = (cuts_of(unit, text) for unit in ("paragraph", "line", "sentence"))
    for cuts in (paragraphs, lines, sentences):
        assert cuts == sorted(set(cuts))
    assert set(paragraphs) <= set(lines)
    assert set(paragraphs) - {len(text)} <= set(sentences)


def spans_of(encoding: Encoding, unit: LargeUnit, *, causal: bool = True) -> tuple[Spans, list[str]]:
    spans = large_units(unit, encoding, causal=causal)
    stops = (*spans.starts[1:], len(encoding))
    return spans, ["".join(encoding.tokens[i:k]) for i, k in zip(spans.starts, stops, strict=True)]


def test_special_tokens_and_the_second_text_begin_units() -> None:
    encoding = encode(tiny.wordpiece(), "The bank approved it. The loan.", "A bank")
    spans, _ = spans_of(encoding, "sentence", causal=False)
    assert spans.labels == ("[CLS]", "The bank approved it.", "The loan.", "[SEP]", "A bank", "[SEP]")
    assert spans.special == (True, False, False, True, False, True)
    assert not spans.sink
    assert spans_of(encoding, "paragraph", causal=False)[0].labels[1] == "The bank approved it. The loan."


def test_the_first_token_of_a_causal_model_is_apart() -> None:
    encoding = encode(gpt2(), "the bank.\nof")
    spans, texts = spans_of(encoding, "line")
    assert spans.sink
    assert (texts[0], spans.labels) == ("the", ("the", "the bank.", "of"))
    assert spans.lines == (1, 1, 2)
    assert spans_of(encoding, "line", causal=False)[0].labels == ("the bank.", "of")
    one = encode(gpt2(), "the")
    assert spans_of(one, "line")[0].starts == (0,)


CHAT = (
    "<|im_start|>system\nBe good. Be nice.<|im_end|>\n<|im_start|>user\nThe bank?\nSo\n\nuser it<|im_end|>\n"
    "<|im_start|>assistant\n"
)


def test_a_templates_own_tokens_are_special_and_each_message_is_apart() -> None:
    qwen = KINDS["qwen2"]()
    encoding = encode(qwen, CHAT, marks=False)
    spans, texts = spans_of(encoding, "paragraph")
    told = [label for label, special in zip(spans.labels, spans.special, strict=True) if not special]
    assert told == ["Be good. Be nice.", "The bank? So", "user it"]
    assert texts[0] == "<|im_start|>system\n"
    assert spans.special == (True, False, True, False, False, True)
    written = append_generated(qwen, encoding, [*qwen.encode(" Yes. It").ids, encoding.ids[0]])
    assert spans_of(written, "paragraph")[0].labels[6:] == ("Yes. It", "<|im_start|>")
    assert spans_of(written, "sentence")[0].labels[-3:] == ("Yes.", "It", "<|im_start|>")


def test_what_a_model_wrote_begins_a_unit_though_it_ends_a_word() -> None:
    encoding = encode(gpt2(), "the bank of the ri")
    written = append_generated(gpt2(), encoding, gpt2().encode("ver. The bank").ids)
    spans, texts = spans_of(written, "sentence")
    assert texts[2].startswith("ver")
    assert spans.starts[2] == len(encoding)
    assert len(spans) == 4


@pytest.mark.parametrize("unit", UNITS)
@settings(deadline=None)
@given(text=st.text(alphabet="aé.!? \n\f今。\u0301", min_size=1, max_size=40).filter(lambda text: text.strip() != ""))
def test_units_cut_the_tokens_without_a_gap(unit: LargeUnit, text: str) -> None:
    encoding = encode(gpt2(), text)
    for causal in (True, False):
        spans = large_units(unit, encoding, causal=causal)
        assert spans.starts[0] == 0
        assert list(spans.starts) == sorted(set(spans.starts))
        assert spans.starts[-1] < len(encoding)
        assert {len(each) for each in (spans.starts, spans.labels, spans.lines, spans.special)} == {len(spans)}
        assert all(spans.labels)
