from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attnviz.analysis.text.replaying import replay
from attnviz.errors import UsageError
from attnviz.record import Array, AttentionRecord, Heads, Observation, Request
from attnviz.render.page import packing, text
from attnviz.render.page.environment import digest, script_json
from attnviz.render.page.text import TextAbout, text_page
from tests.records import random_weights, record, three_maps
from tests.render.browsers import unpacked
from tests.render.test_page import Page

EVIL = "</script><img src=x onerror=alert(1)>"
WORDS = ["[CLS]", "The", "bank", "approved", ("loans", ["loan", "##s"]), ".", "[SEP]"]


def observed(attention: AttentionRecord, **asked: Any) -> Observation:
    return replace(replay(attention, Request(**asked)), whole=None)


def page_of(attention: AttentionRecord, **asked: Any) -> str:
    return text_page([replay(attention, Request(**asked))])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("n", [1, 5, 40])
def test_weights_are_packed_to_within_what_the_page_says(n: int, *, causal: bool) -> None:
    weights = random_weights((2, 3, n), causal=causal)
    weights[0, 0] = np.eye(n)
    content, (found,) = unpacked(page_of(record([f"w{i}" for i in range(n)], weights, causal=causal)))
    facts = content["maps"][0]
    apart = np.abs(found - weights)
    assert apart.max() <= facts["error"] + 1e-6
    strongest = np.argsort(-weights, axis=-1, kind="stable")[..., :8]
    assert np.take_along_axis(apart, strongest, -1).max() <= facts["exact_error"] + 1e-6
    assert facts["exact_error"] < 2e-5
    assert facts["error"] < (4e-3 if n > 16 else 2e-5)


def test_of_a_causal_map_half_is_packed() -> None:
    weights = random_weights((2, 2, 60), causal=True)
    causal, whole = (packing.pack_weights(weights, causal=half) for half in (True, False))
    assert causal is not None
    assert whole is not None
    assert causal.error == whole.error


def test_too_many_weights_lose_steps_before_they_lose_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = random_weights((2, 2, 80))
    steps, sizes = [], []
    while (packed := packing.pack_weights(weights, causal=False)) is not None:
        assert packed.error < 0.01
        steps.append(packed.steps)
        sizes.append(len(packed.data))
        monkeypatch.setattr(packing, "MOST", len(packed.data) - 1)
    assert steps == list(packing.STEPS)
    assert sizes == sorted(sizes, reverse=True)


def test_a_page_of_more_than_a_browser_opens_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "LARGEST", 1000)
    with pytest.raises(UsageError, match="a browser opens 0 MB"):
        page_of(record(WORDS, random_weights((1, 1, 8))))


def test_text_in_a_page_is_text() -> None:
    words = [EVIL, "&amp;<!--", "\u202e\x1b[31m", "'\"`", "שלום", "🦊"]
    attention = replace(record(words, random_weights((2, 2, 6))), model=EVIL)
    html = text_page(
        [replay(attention, Request())], TextAbout(command=f"attnviz show '{EVIL}'", check=EVIL, passed=False)
    )
    found = Page(html)
    assert found.elements["script"] == 3  # the content, the weights, and the module
    assert found.elements["img"] == 0
    assert EVIL in found.text
    assert not {"\u202e", "\x1b"} & set(html)
    content, _ = unpacked(html)
    assert content["texts"][0]["word"]["labels"][0] == EVIL
    assert content["command"] == f"attnviz show '{EVIL}'"


@pytest.mark.parametrize("value", ["</script>", "<!--", "]]>", "\u2028", "&lt;", "\ud800"])
def test_json_in_a_script_can_not_end_it(value: str) -> None:
    written = script_json({value: value})
    assert written.isascii()
    assert not set(written) & set("<>&")
    assert json.loads(written) == {value: value}


def test_a_page_needs_and_allows_nothing_else() -> None:
    html = page_of(record(WORDS, random_weights((1, 2, 8))))
    found = Page(html)
    policy = next(
        value or "" for tag, name, value in found.attributes if tag == "meta" and "default-src" in (value or "")
    )
    assert policy.startswith("default-src 'none'; ")
    assert "connect-src" not in policy
    style, script = (re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", html, re.DOTALL)[-1] for tag in ("style", "script"))
    assert f"style-src '{digest(style)}'" in policy
    assert f"script-src '{digest(script)}'" in policy
    for name in ("src", "srcset", "action", "style", "onclick", "onerror"):
        assert not [value for _, attribute, value in found.attributes if attribute == name]
    links = [value or "" for _, name, value in found.attributes if name == "href"]
    assert links
    assert all(link.startswith("#head=") for link in links)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", html)


def test_the_same_input_makes_the_same_page() -> None:
    attention = record(WORDS, random_weights((2, 2, 8)))
    assert page_of(attention) == page_of(attention)


def test_a_page_opens_with_the_strongest_link_or_the_head_that_is_asked_for() -> None:
    attention = record(WORDS, random_weights((2, 3, 8)))
    content, _ = unpacked(page_of(attention))
    facts = content["maps"][0]
    assert facts["open"] == [facts["links"][0][0]]
    assert "looks at" in Page(page_of(attention)).text
    content, _ = unpacked(page_of(attention, heads=Heads((1,), (2,))))
    assert content["maps"][0]["open"] == [5]


def test_an_encoder_decoder_has_its_three_maps_and_two_texts() -> None:
    made = three_maps(["The", "bank", "loans", "[</s>]"], ["[<s>]", "Die", "Bank"])
    found = [replay(made, Request(map=name)) for name in ("encoder", "decoder", "cross")]
    content, weights = unpacked(text_page(found))
    assert [(each["name"], each["queries"], each["keys"]) for each in content["maps"]] == [
        ("encoder", 0, 0), ("decoder", 1, 1), ("cross", 1, 0),
    ]  # fmt: skip
    assert content["map"] == 2
    assert "distance" not in content["maps"][2]["figures"]
    for each, expected in zip(weights, (made.encoder, made.decoder, made.cross), strict=True):
        np.testing.assert_allclose(each, expected.weights, atol=2e-5)


def test_what_was_only_observed_has_links_and_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = random_weights((2, 2, 60))
    found = observed(record([f"word{i}" for i in range(60)], weights), size=16, top=4)
    content, (data,) = unpacked(text_page([found]))
    facts = content["maps"][0]
    long = facts["long"]
    assert (long["rows"], long["columns"], long["down"]) == (15, 15, 4)
    assert isinstance(data, bytes)
    cells = np.frombuffer(data[: 4 * 15 * 15], np.uint8).reshape(2, 2, 15, 15)
    np.testing.assert_allclose((cells / 255) ** 2, found.maps.values, atol=facts["error"] + 1e-6)
    k = long["links"]
    assert k == found.links.weights.shape[-1]
    monkeypatch.setattr("attnviz.render.page.content._LINKS", 4 * 60 * 3)
    content, _ = unpacked(text_page([found]))
    assert 1 <= content["maps"][0]["long"]["links"] < k


def test_the_strongest_regions_of_a_pooled_map_are_packed_as_they_are() -> None:
    weights = random_weights((2, 3, 100))
    content, (data,) = unpacked(
        text_page([observed(record([f"word{i}" for i in range(100)], weights), size=16, top=4, regions=2)])
    )
    facts = content["maps"][0]
    regions = facts["long"]["regions"]
    assert [head for head, *_ in regions] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    size = sum(rows * columns for *_, rows, columns in regions)
    assert isinstance(data, bytes)
    first, second = np.frombuffer(data[-2 * size :], np.uint8).reshape(2, -1).astype(float)
    known, at = ((first - 0.5 + (second + 0.5) / 256) / 255) ** 2, 0
    for head, query, key, rows, columns in regions:
        part = weights[head // 3, head % 3, query : query + rows, key : key + columns]
        found = known[at : at + rows * columns].reshape(rows, columns)
        np.testing.assert_allclose(found, part, atol=facts["exact_error"] + 1e-6)
        at += rows * columns
    assert facts["exact_error"] < 2e-5
    content, _ = unpacked(text_page([observed(record(["a", "b"], weights[..., :2, :2]), size=16, regions=2)]))
    assert content["maps"][0]["long"]["regions"] == []


def test_large_units_are_shown_as_they_were_observed(tiny_attention: AttentionRecord) -> None:
    content, (data,) = unpacked(text_page([observed(tiny_attention, unit="sentence")]))
    assert content["maps"][0]["unit"] == "sentence"
    assert "long" in content["maps"][0]
    assert data


def test_roles_are_told_of_one_text() -> None:
    n = 12
    weights: Array = np.zeros((1, 2, n, n), np.float32)
    weights[0, 0] = np.eye(n, k=-1)
    weights[0, 0, 0, 0] = 1
    weights[0, 1] = 1 / n
    content, _ = unpacked(page_of(record([f"w{i}" for i in range(n)], weights)))
    roles = content["maps"][0]["roles"]
    assert roles["previous"] == [0]
    assert roles["positional"] == [0]
    assert roles["broad"] == [1]


def test_too_many_weights_become_links_and_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    attention = record([f"w{i}" for i in range(60)], random_weights((2, 2, 60)))
    monkeypatch.setattr("attnviz.render.page.content._LARGEST", 100)
    content, _ = unpacked(page_of(attention, size=16))
    assert content["maps"][0]["long"]["down"] == 4
    whole, _ = unpacked(text_page([observed(attention, size=16)]))
    assert content == whole
