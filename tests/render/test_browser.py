"""The page of a text, used as a reader uses it, in headless Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from attnviz.analysis.text.find import find_links
from attnviz.analysis.text.replaying import replay, with_other_maps
from attnviz.interface import Attention, Model, load
from attnviz.record import Array, AttentionRecord, Observation, Pairs, Request
from attnviz.render.page.text import TextAbout, page_frame, text_page
from tests import tiny
from tests.records import Spelled, random_weights, record, three_maps
from tests.render.browsers import Opened, chromium

SENTENCE: tuple[Spelled, ...] = (
    "[CLS]", "the", "bank", "gave", ("loans", ["loan", "##s"]), "to", "the", "company", ".", "[SEP]",
)  # fmt: skip
EVIL = "</script><img src=x onerror=alert(1)>"

Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Open the page of what was found, at a state; at the end nothing was fetched, and nothing complained of."""
    pages: list[Opened] = []

    def open_page(found: Observation | Sequence[Observation], state: str = "", **options: Any) -> Opened:
        path = tmp_path / f"{len(pages)}.html"
        found = [found] if isinstance(found, Observation) else found
        path.write_text(text_page(found, TextAbout('attnviz show "the bank"')), encoding="utf-8")
        pages.append(Opened(browser, path, state, **options))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


def bank(shape: tuple[int, int] = (3, 4)) -> AttentionRecord:
    return record(SENTENCE, random_weights((*shape, 11)))


def in_words(attention: AttentionRecord) -> Array:
    """The weights between words: summed over the key's pieces, averaged over the query's."""
    keys, queries = (
        np.array(
            [[word.start <= token < word.stop for token in range(len(encoding))] for word in encoding.words], float
        )
        for encoding in (attention.key_encoding, attention.encoding)
    )
    return np.asarray(queries / queries.sum(1, keepdims=True) @ (attention.weights @ keys.T))


def share(value: float) -> str:
    return f"{100 * value:.1f} %"


def head_of(page: Opened) -> tuple[int, int]:
    found = re.match(r"head=(\d+)\.(\d+)", page.state)
    assert found
    return int(found[1]), int(found[2])


def cell(page: Opened, row: int, column: int) -> tuple[float, float]:
    """Where a cell of the heatmap is on the screen."""
    box = page.tab.locator(".grid canvas.top").bounding_box()
    # The reader finds it by its labels; the page is asked for where it drew them.
    left, high, size = page.tab.evaluate(
        "() => { const { left, high, size } = page.grid.now; return [left, high, size]; }"
    )
    return box["x"] + left + (column + 0.5) * size, box["y"] + high + (row + 0.5) * size


def thumb(page: Opened, layer: int, head: int, heads: int) -> tuple[float, float]:
    """Where a head's small picture is on the screen."""
    box = page.tab.locator(".overview canvas.top").bounding_box()
    x, y, size = page.tab.evaluate(
        "(head) => { const p = page.overview.places.find((each) => each.head === head); return [p.x, p.y, p.size]; }",
        layer * heads + head,
    )
    return box["x"] + x + size / 2, box["y"] + y + size / 2


def test_it_opens_on_the_answer_and_its_numbers_are_those_of_the_record(opened: Open) -> None:
    attention = bank()
    page = opened(replay(attention, Request()))
    layer, head = head_of(page)
    weights = in_words(attention)
    content = [1 + word for word in (0, 1, 2, 3, 4, 5, 6)]
    rows, columns, numbers = page.table()
    assert rows == columns == [attention.words[i] for i in content]
    np.testing.assert_allclose(numbers, weights[layer, head][np.ix_(content, content)], atol=6e-4)
    counted = [2, 3, 4, 7]  # content words
    among = weights[:, :, counted][..., counted] * ~np.eye(4, dtype=bool)
    assert page.readout.endswith(share(among.max()))
    assert among[layer, head].max() == among.max()
    assert page.text("h1") == f"{page.readout.split()[2]} looks at {page.readout.split()[4]}"


def test_the_pointer_shows_a_click_pins_and_a_second_click_or_escape_frees(opened: Open) -> None:
    attention = bank()
    page = opened(replay(attention, Request()), "head=1.2&word=gave")
    weights = in_words(attention)[1, 2]
    assert page.state == "head=1.2&word=gave"
    page.tab.mouse.move(*cell(page, 1, 6))
    page.settle()
    assert page.readout == f"L1 H2 bank → company {share(weights[2, 7])}"
    assert page.state == "head=1.2&word=gave"
    page.tab.mouse.move(5, 5)
    page.settle()
    assert "gave looks at" in page.readout
    page.tab.mouse.click(*cell(page, 1, 6))
    page.settle()
    assert page.state == "head=1.2&pin=bank,company"
    page.tab.mouse.click(*cell(page, 1, 6))
    page.settle()
    assert page.state == "head=1.2"
    page.word("loans").click()
    page.settle()
    assert page.state == "head=1.2&word=loans"
    page.tab.mouse.move(5, 5)
    page.settle()
    assert page.word("company").get_attribute("title") == share(weights[4, 7])
    page.word("company").click()
    page.settle()
    assert page.state == "head=1.2&pin=loans,company"
    page.press("Escape")
    assert page.state == "head=1.2"
    page.press("Escape")
    assert page.state.split("&")[0] == "head={}.{}".format(*head_of(opened(replay(attention, Request()))))


def test_a_click_adds_a_head_and_a_double_click_shows_only_it(opened: Open) -> None:
    attention = bank()
    page = opened(replay(attention, Request()), "head=0.0&pin=bank,gave")
    weights = in_words(attention)
    page.tab.mouse.move(*thumb(page, 2, 3, 4))
    page.settle()
    assert page.readout == f"L2 H3 bank → gave {share(weights[2, 3, 2, 3])}"
    page.tab.mouse.click(*thumb(page, 2, 3, 4))
    page.tab.mouse.move(5, 5)
    page.settle()
    assert page.state == "head=0.0,2.3&pin=bank,gave"
    mean = (weights[0, 0] + weights[2, 3]) / 2
    assert page.readout == f"mean of 2 heads bank → gave {share(mean[2, 3])}"
    np.testing.assert_allclose(page.table()[2], mean[1:8, 1:8], atol=6e-4)
    page.tab.mouse.dblclick(*thumb(page, 1, 1, 4))
    page.settle()
    assert page.state == "head=1.1&pin=bank,gave"
    for key, state in {"ArrowRight": "1.2", "ArrowDown": "2.2", "ArrowUp": "1.2", "ArrowLeft": "1.1"}.items():
        page.press(key)
        assert page.state == f"head={state}&pin=bank,gave"


def test_a_tap_shows_a_head_and_a_double_tap_adds_it(opened: Open) -> None:
    attention = bank()
    weights = in_words(attention)
    page = opened(replay(attention, Request()), "head=0.0&pin=bank,gave", has_touch=True, is_mobile=True)
    assert "A tap shows a head, a double tap adds it." in page.text(".overview .hint")
    page.tab.touchscreen.tap(*thumb(page, 2, 3, 4))
    page.settle()
    assert page.state == "head=2.3&pin=bank,gave"
    assert page.readout == f"L2 H3 bank → gave {share(weights[2, 3, 2, 3])}"
    for _ in range(2):
        page.tab.touchscreen.tap(*thumb(page, 1, 1, 4))
    page.settle()
    assert page.state == "head=2.3,1.1&pin=bank,gave"
    page.tab.wait_for_timeout(450)
    page.tab.touchscreen.tap(*thumb(page, 1, 1, 4))
    page.settle()
    assert page.state == "head=1.1&pin=bank,gave"
    page.tab.touchscreen.tap(*cell(page, 0, 3))
    page.settle()
    assert page.readout == f"L1 H1 the → loans {share(weights[1, 1, 1, 4])}"


def test_switches_say_what_they_do_and_change_the_numbers(opened: Open) -> None:
    attention = bank()
    page = opened(replay(attention, Request()), "head=1.2")
    weights = in_words(attention)[1, 2]
    outside = 1 - weights[1:8, 1:8].sum(1)
    assert f"{100 * outside.mean():.0f} % of the attention is on what is not shown" in page.text(".legend")
    page.press("s")
    assert page.table()[2].shape == (10, 10)
    np.testing.assert_allclose(page.table()[2], weights, atol=6e-4)
    page.press("s")
    page.tab.locator("#switch-renormalised").check()
    page.settle()
    assert "renormalised" in page.text(".legend")
    kept = weights[1:8, 1:8]
    np.testing.assert_allclose(page.table()[2], kept / kept.sum(1, keepdims=True), atol=6e-4)
    page.tab.locator("#switch-renormalised").uncheck()
    page.press("t")
    words, _, numbers = page.table()
    assert words == ["the", "bank", "gave", "loan", "##s", "to", "the", "company"]
    np.testing.assert_allclose(numbers, attention.weights[1, 2, 1:9, 1:9], atol=6e-4)
    page.tab.locator("#switch-shared").check()
    page.settle()
    largest = attention.weights[:, :, 1:9, 1:9].max()
    assert f"{share(largest)} the largest of all heads" in page.text(".legend")
    page.tab.locator(".range input").fill("25")
    page.settle()
    links = int((attention.weights[1, 2, 1:9, 1:9] >= 0.25).sum())
    assert page.text(".left") == f"25 % or more: {links} of 64"
    assert page.state == "head=1.2&unit=token&min=0.25&shared=1"


@pytest.mark.slow
def test_a_part_of_the_heatmap_is_enlarged_and_moved(opened: Open) -> None:
    words = [f"w{i}" for i in range(40)]
    attention = record(words, random_weights((1, 2, 40)))
    page = opened(replay(attention, Request()), "head=0.1")

    def seen() -> list[int]:
        return list(page.tab.evaluate("() => page.grid.seen"))

    page.tab.mouse.move(*cell(page, 10, 20))
    page.tab.mouse.down()
    page.tab.mouse.move(*cell(page, 19, 24), steps=3)
    page.tab.mouse.up()
    page.settle()
    assert seen() == [10, 20, 20, 25]
    assert page.state == "head=0.1"
    page.tab.mouse.click(*cell(page, 3, 2))
    page.settle()
    assert page.readout == f"L0 H1 w13 → w22 {share(attention.weights[0, 1, 13, 22])}"
    page.tab.mouse.move(*cell(page, 3, 2))
    page.tab.mouse.wheel(0, 60)
    page.settle()
    assert seen() == [11, 21, 20, 25]
    for _ in range(4):
        page.press("-")
    assert seen() == [0, 40, 0, 40]
    page.press("+")
    first, last, left, right = seen()
    assert (last - first, right - left) == (20, 20)
    assert first <= 13 < last
    assert left <= 22 < right


def test_a_link_to_a_state_shows_it(opened: Open) -> None:
    attention = bank()
    page = opened(replay(attention, Request()), "head=9.9,x&pin=%E0%A4%A,nobody&min=7&order=up&unit=letter")
    assert page.state.startswith("head=")
    weights = in_words(attention)
    for layer, head in ((0, 1), (2, 2)):
        for query, key in ((2, 3), (7, 4)):
            names = f"{attention.words[query]},{attention.words[key]}"
            page.go(f"head={layer}.{head}&pin={names}")
            assert page.readout.endswith(share(weights[layer, head, query, key]))
    page.go("head=0.1&pin=the:2,bank")
    assert page.readout == f"L0 H1 the → bank {share(weights[0, 1, 6, 2])}"
    assert page.state == "head=0.1&pin=the:2,bank"
    page.tab.locator(".links a").last.click()
    page.settle()
    assert page.state != "head=0.1&pin=the:2,bank"


def test_a_word_ranks_the_heads_and_two_say_which_take_one_to_the_other(opened: Open) -> None:
    attention = bank()
    page = opened(replay(attention, Request()))
    weights = in_words(attention)
    page.press("/")
    page.tab.keyboard.type("compa")
    page.press("Enter")
    assert "word=company&order=word" in page.state
    given = weights[:, :, 7, [1, 2, 3, 4, 5, 6]].max(-1)
    best = np.unravel_index(given.argmax(), given.shape)
    row = page.text(".ranking tbody tr:first-child")
    assert row.startswith(f"L{best[0]} H{best[1]} {share(given.max())}")
    assert page.tab.evaluate("() => page.overview.places[0].head") == best[0] * 4 + best[1]


PAIRS: dict[str, tuple[str, str, Callable[[Path], Any]]] = {
    "all": ("company", "loans", lambda _: bank()),
    "causal": ("financials", "strong", lambda folder: load(tiny.llama(folder)).attend(tiny.SENTENCE)),
    "window": ("strong", "had", lambda folder: load(tiny.mistral(folder, sliding_window=6)).attend(tiny.SENTENCE)),
    "source": ("bank", "loan", lambda folder: load(tiny.t5(folder)).attend("it had a loan", target="the river bank")),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_how_unusual_a_pair_is_the_page_and_find_say_alike(kind: str, opened: Open, tmp_path: Path) -> None:
    query, key, made = PAIRS[kind]
    attention = made(tmp_path / kind)
    found = find_links(replay(attention, Request(pairs=Pairs((query,), (key,)))), both=False).values
    page = opened(replay(attention, Request()), f"head=0.0&pin={query},{key}")
    columns = ("weight", "key_lift", *(["distance_lift"] if kind != "source" else []))
    said = {
        f"L{found['layer'][i]} H{found['head'][i]}": [float(found[name][i]) for name in columns]
        for i in range(len(found["layer"]))
    }
    rows = page.tab.evaluate(
        "() => [...document.querySelectorAll('.ranking tbody tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.innerText))"
    )
    assert rows
    for name, weight, *lifts in (row[: len(columns) + 1] for row in rows):
        assert float(weight.removesuffix("%")) / 100 == pytest.approx(said[name][0], abs=6e-4)
        for lift, expected in zip(lifts, said[name][1:], strict=True):
            assert float(lift.removesuffix("×")) == pytest.approx(expected, abs=0.06, rel=0.01), (
                name,
                lifts,
                said[name],
            )


def test_two_texts_stand_in_two_rows_and_are_aligned(opened: Open) -> None:
    made = three_maps(["the", "bank", "loans", "[</s>]"], ["[<s>]", "Die", "Bank", "leiht"])
    found = [replay(made, Request(map=name)) for name in ("encoder", "decoder", "cross")]
    page = opened(found, "head=1.1")
    weights = made.cross.weights[1, 1]
    best = weights[1:, :3].argmax(1)
    rows = [page.text(f".alignment tbody tr:nth-child({i + 1})") for i in range(3)]
    words = ("Die", "Bank", "leiht"), ("the", "bank", "loans")
    assert rows == [f"{words[0][i]} {words[1][key]} {share(weights[1 + i, key])}" for i, key in enumerate(best)]
    page.word("Bank").click()
    page.word("loans", "key").click()
    page.settle()
    assert page.state == "head=1.1&pin=Bank,loans"
    assert page.readout.endswith(share(weights[2, 2]))
    page.tab.locator("select[aria-label=Map]").select_option("1")
    page.ready()
    page.settle()
    assert "map=decoder" in page.state
    page.go("head=0.2&pin=leiht,Bank&map=decoder")
    assert page.readout.endswith(share(made.decoder.weights[0, 2, 3, 2]))


@pytest.mark.slow
def test_a_slider_goes_through_what_the_model_wrote(opened: Open) -> None:
    weights = random_weights((2, 2, 8), causal=True)
    attention = record(["the", "bank", "gave", "a", "loan", "to", "the", "firm"], weights, causal=True, generated=3)
    page = opened(replay(attention, Request()), "head=0.1")
    for token in ("to", "the", "firm"):
        page.press("]")
        assert f"of 3: “{token}”, predicted from" in page.text(".steps")
    assert page.state == "head=0.1&word=the:2&step=2"
    assert page.word("gave").get_attribute("title") == share(weights[0, 1, 6, 2])
    page.tab.locator(".steps input").fill("1")
    page.settle()
    assert page.state == "head=0.1&word=loan&step=0"


def test_text_of_strangers_is_text_and_stands_as_it_is_read(opened: Open) -> None:
    words = [EVIL, "שלום", "עולם", "नमस्ते", "🦊👩‍👩‍👧", "銀行", "&lt;b>", "x" * 300]
    attention = replace(record(words, random_weights((1, 2, 8))), model=EVIL)
    page = opened(
        replay(attention, Request()),
        "head=0.1&pin="
        + ",".join(("%F0%9F%A6%8A%F0%9F%91%A9%E2%80%8D%F0%9F%91%A9%E2%80%8D%F0%9F%91%A7", "%E9%8A%80%E8%A1%8C")),
    )
    assert page.readout == f"L0 H1 🦊👩‍👩‍👧 → 銀行 {share(attention.weights[0, 1, 4, 5])}"
    assert page.tab.locator("img").count() == 0
    assert EVIL in page.text(".words")
    page.word("नमस्ते").click()
    page.settle()
    assert not page.said
    first, second = (page.word(word).bounding_box() for word in ("שלום", "עולם"))
    assert first["y"] == second["y"]
    hebrew = replay(record(["[CLS]", "שלום", "עולם", "bank"], random_weights((1, 2, 4))), Request())
    page = opened(hebrew)
    first, second = (page.word(word).bounding_box() for word in ("שלום", "עולם"))
    assert first["x"] > second["x"]


def unfolded(page: Opened) -> str:
    """What the opened formula says."""
    page.tab.locator(".formula summary").click()
    page.settle()
    return page.text(".formula").replace("−", "-")


def number(value: float) -> str:
    return f"{value:.{3 if abs(value) < 10 else 2}f}"


def test_a_weight_is_unfolded_to_its_dimensions(opened: Open, tiny_model: Model) -> None:
    attention = tiny_model.attend("the bank approved the loan", neurons=True)
    assert isinstance(attention, Attention)
    assert attention.scores is not None
    page = opened(replay(attention, Request()), "head=2.1&pin=bank,loan")
    said = unfolded(page)
    product, row = attention.scores[2, 1, 2, 5], attention.scores[2, 1, 2] * 8**-0.5
    assert f"q(bank) · k(loan) = {number(product)}" in said
    assert f"÷ √8 = {number(row[5])}" in said
    assert "all 7 keys are seen" in said
    assert f"= {share(np.exp(row[5] - row.max()) / np.exp(row - row.max()).sum())}" in said
    assert share(attention.weights[2, 1, 2, 5]) in said
    query, key, products = (
        [float(one.replace("−", "-").split(": ")[1]) for one in bars.locator("title").all_text_contents()]
        for bars in page.tab.locator(".neurons svg").all()
    )
    assert attention.query_vectors is not None
    assert attention.key_vectors is not None
    np.testing.assert_allclose(query, attention.query_vectors[2, 1, 2], atol=6e-4)
    np.testing.assert_allclose(key, attention.key_vectors[2, 1, 5], atol=6e-4)
    np.testing.assert_allclose(sum(products), product, atol=8 * 6e-4)
    assert f"together {number(product)}" in said
    largest = int(np.argmax(np.abs(products)))
    assert page.tab.locator(".neurons li").first.inner_text().startswith(f"d{largest}: ")
    page.press("Escape")
    assert not page.tab.locator(".formula").is_visible()


def test_the_weight_of_words_unfolds_to_that_of_their_pieces(opened: Open, tiny_model: Model) -> None:
    attention = tiny_model.attend("the banks approved the loans", neurons=True)
    assert isinstance(attention, Attention)
    page = opened(replay(attention, Request()), "head=1.2&pin=loans,banks")
    said = unfolded(page)
    pieces = {word.text: range(word.start, word.stop) for word in attention.encoding.words}
    square = attention.weights[1, 2][np.ix_(pieces["loans"], pieces["banks"])]
    assert square.size > 1
    assert f"averaged over the {len(square)} of the query: {share(square.sum(1).mean())}" in said
    assert f"summed over the {square.shape[1]} pieces of the key" in said
    buttons = page.tab.locator(".pieces button")
    assert buttons.all_inner_texts() == [share(weight) for weight in square.ravel()]
    for at, weight in enumerate(square.ravel()):
        buttons.nth(at).click()
        page.settle()
        assert page.tab.locator(".pieces [aria-pressed=true]").inner_text() == share(weight)
        steps = page.tab.locator(".formula > table").inner_text()
        assert steps.endswith(share(weight))
    assert page.readout.endswith(share(square.sum(1).mean()))


def test_where_no_scores_were_kept_the_formula_says_what_keeps_them(opened: Open) -> None:
    assert "attnviz export" in unfolded(opened(replay(bank(), Request()), "head=1.1&pin=bank,company"))
    long = record([f"w{i}" for i in range(92)], random_weights((1, 1, 92)))
    assert "92 × 92 tokens are too many" in unfolded(opened(replay(long, Request()), "head=0.0&pin=w1,w2"))
    observed = replace(bank(), backend="observed")
    assert "attends by itself" in unfolded(opened(replay(observed, Request()), "head=1.1&pin=bank,company"))


def test_a_sink_and_a_cap_stand_in_the_formula(opened: Open) -> None:
    """One head over three words, whose softmax has one more term of e^1."""
    products = np.array([[1.0, 5, 5], [2, 6, 5], [0, 4, 8]])
    logits = 2 * np.tanh(products * 0.5 / 2) + np.eye(3)
    weights = np.exp(logits) / (np.exp(logits).sum(-1, keepdims=True) + np.e)
    found = replace(
        record(["a", "b", "c"], weights[None, None].astype(np.float32)),
        scores=products[None, None].astype(np.float32), scales=(0.5,), softcaps=(2.0,),
        biases=np.eye(3, dtype=np.float32)[None, None],
    )  # fmt: skip
    said = unfolded(opened(replay(found, Request(special=True)), "head=0.0&pin=b,b&special=1"))
    assert f"2 · tanh(3.000 ÷ 2) = {number(2 * np.tanh(1.5))}" in said
    assert f"+ 1.000, what the model adds for where they stand = {number(2 * np.tanh(1.5) + 1)}" in said
    assert f"{share(1 - weights[1].sum())} of the row" in said
    assert said.endswith(share(weights[1, 1]))


@pytest.mark.slow
def test_a_window_and_positions_stand_in_the_formula(opened: Open, tmp_path: Path, tiny_t5: Path) -> None:
    window = load(tiny.mistral(tmp_path / "mistral", sliding_window=3))
    for target, model, state, said in (
        ({}, window, "head=1.1&pin=loan,the:2", ("÷ √8", "3 of 10 keys are seen: none behind the query")),
        ({"target": "the river"}, load(tiny_t5), "head=1.1&pin=river,bank", ("none in this model", "keys are seen")),
        ({"target": "the river"}, load(tiny_t5), "head=1.1&pin=loan,bank&map=encoder", ("for where they stand",)),
    ):
        attention = model.attend("the bank approved the loan of the river", **target, scores=True)
        page = opened(with_other_maps(replay(attention, Request())), state)
        formula = unfolded(page)
        for part in said:
            assert part in formula
        assert formula.endswith(page.readout.split("→")[1].split(maxsplit=1)[1])


def test_a_browser_that_can_not_unpack_says_so(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(text_page([replay(bank(), Request())]), encoding="utf-8")
    tab = browser.new_page()
    tab.add_init_script("delete window.DecompressionStream")
    tab.goto(path.as_uri())
    assert "This browser can’t unpack the weights" in tab.inner_text("main")
    tab.close()


@pytest.mark.slow
def test_an_address_that_changes_all_the_time_is_written_now_and_then(opened: Open) -> None:
    page = opened(replay(bank(), Request()))
    page.tab.evaluate("() => { for (let i = 0; i < 300; i++) { page.state.onlyHead(i % 12); page.update(); } }")
    page.tab.evaluate("() => { page.written = []; }")
    page.tab.wait_for_function("location.hash.startsWith('#head=2.3')")


@pytest.mark.slow
def test_what_is_seen_is_saved(opened: Open, tmp_path: Path) -> None:
    page = opened(replay(bank(), Request()), "head=1.2&pin=bank,company", accept_downloads=True)
    with page.tab.expect_download() as svg:
        page.tab.get_by_text("save as SVG").click()
    svg.value.save_as(tmp_path / "a.svg")
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    drawn = "".join(root.itertext())
    assert "L1 H2" in drawn
    assert "company" in drawn
    assert len(root.findall(".//{*}rect")) > 49
    with page.tab.expect_download() as png:
        page.tab.get_by_text("save as PNG").click()
    png.value.save_as(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 1000
    assert svg.value.suggested_filename == "attention-L1H2.svg"
    assert page.text(".command") == 'attnviz show "the bank" --layer 1 --head 2 --token bank'


@pytest.mark.slow
def test_a_long_text_shows_cells_and_its_strongest_links(opened: Open) -> None:
    words = [f"word{i}" for i in range(120)]
    whole = replay(record(words, random_weights((2, 2, 120))), Request(size=16, top=4, special=True))
    whole = replace(whole, whole=None)
    page = opened(whole)
    assert "each cell is the largest of 8 × 8 words" in page.text(".legend")
    layer, head = head_of(page)
    links = whole.links
    query = int(links.weights[layer, head, :, 0].argmax())
    assert page.readout.endswith(share(float(links.weights[layer, head, query, 0])))
    page.tab.mouse.click(*cell(page, query // 8, int(links.keys[layer, head, query, 0]) // 8))
    page.settle()
    page.tab.mouse.click(*cell(page, query // 8, int(links.keys[layer, head, query, 0]) // 8))
    page.tab.mouse.move(5, 5)
    page.settle()
    assert page.readout.endswith(share(float(links.weights[layer, head, query, 0])))


@pytest.mark.slow
def test_the_strongest_regions_of_a_long_text_are_shown_weight_by_weight(opened: Open) -> None:
    words = [f"word{i}" for i in range(120)]
    weights = random_weights((2, 2, 120))
    weights[1, 0, 70, 33] = 0.995  # in the region of L1 H0 from word 64 and 32 on, which is opened
    found = replay(record(words, weights), Request(size=16, top=4, special=True, regions=1))
    page = opened(replace(found, whole=None), "head=1.0", viewport={"width": 1400, "height": 1400})
    place = page.tab.evaluate("() => page.grid.regions.map(({ query, key }) => [query, key])")
    assert place == [[64, 32]]
    assert "This page holds words with special tokens and punctuation only" in page.text(".tools .hint")
    pooled = page.text(".legend")
    assert "each cell is the largest of 8 × 8 words" in pooled
    assert "single weights around word70 → word33" in pooled
    page.tab.mouse.click(*cell(page, 9, 5))
    page.tab.mouse.move(5, 5)
    page.settle()
    assert page.state == "head=1.0&special=1&region=64.32"
    assert "single weights of 32 × 32 words" in page.text(".legend")
    page.tab.mouse.move(*cell(page, 20, 11))
    page.settle()
    assert page.readout == f"L1 H0 word84 → word43 {share(weights[1, 0, 84, 43])}"
    page.tab.locator(".numbers summary").click()
    page.settle()
    rows, columns, numbers = page.table()
    assert (rows, columns) == (words[64:96], words[32:64])
    np.testing.assert_allclose(numbers, weights[1, 0, 64:96, 32:64], atol=6e-4)
    page.press("+")
    assert page.tab.evaluate("() => page.grid.seen") == [8, 24, 8, 24]
    page.press("-")
    page.press("-")
    assert page.text(".legend") == pooled
    page.tab.locator(".legend button.region").click()
    page.settle()
    assert page.state == "head=1.0&special=1&region=64.32"
    page.press("Escape")
    assert page.state == "head=1.0&special=1"
    page.go("head=1.0&region=64.32&pin=word90,word50")
    assert page.readout == f"L1 H0 word90 → word50 {share(weights[1, 0, 90, 50])}"
    page.press("ArrowLeft")
    assert "each cell is the largest of 8 × 8 words" in page.text(".legend")
    page.go("head=1.0")
    page.tab.mouse.move(*cell(page, 8, 4))
    page.tab.mouse.down()
    page.tab.mouse.move(*cell(page, 10, 6), steps=3)
    page.tab.mouse.up()
    page.settle()
    assert "region=64.32" in page.state


@pytest.mark.slow
def test_in_a_notebook_it_lives_in_a_frame_that_reaches_nothing(browser: Any, tmp_path: Path) -> None:
    attention = bank()
    frame = page_frame(text_page([replay(attention, Request())]))
    (tmp_path / "notebook.html").write_text(f"<meta charset=utf-8><p>a cell</p>{frame}", encoding="utf-8")
    tab = browser.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto((tmp_path / "notebook.html").as_uri())
    inner = tab.frame_locator("iframe")
    inner.locator("#page[data-ready]").wait_for()
    link = inner.locator(".links a").last
    words = link.locator("bdi").all_inner_texts()
    weight = link.locator("b").inner_text()
    link.click()
    tab.wait_for_timeout(100)
    assert inner.locator(".readout").inner_text().endswith(f"{words[0]} → {words[1]} {weight}")
    assert not inner.locator(".saves").is_visible()
    tab.close()
    assert not said


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1600, "light")])
def test_nothing_is_wider_than_the_screen(opened: Open, width: int, scheme: str) -> None:
    page = opened(replay(bank(), Request()), viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", paper))) < 60) == (scheme == "dark")
    assert page.tab.evaluate("() => page.colours.dark") == (scheme == "dark")
    page.tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.tab.evaluate("() => [page.colours.dark, page.colours.card]") == [False, "#ffffff"]
    page.tab.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.tab.evaluate("() => page.colours.dark") == (scheme == "dark")


@pytest.mark.slow
def test_a_page_of_many_heads_and_tokens_shows_their_weights(opened: Open) -> None:
    weights = random_weights((12, 12, 256))
    attention = record([f"w{i}" for i in range(256)], weights)
    page = opened(replay(attention, Request()))
    for layer, head, query, key in ((0, 0, 17, 200), (11, 11, 255, 0), (5, 7, 100, 100)):
        page.go(f"head={layer}.{head}&pin=w{query},w{key}")
        assert page.readout.startswith(f"L{layer} H{head} w{query} → w{key} ")
        assert float(page.readout.split()[-2]) / 100 == pytest.approx(weights[layer, head, query, key], abs=1.5e-3)
    for layer, head in ((3, 4), (9, 2)):
        query, key = divmod(int(weights[layer, head].argmax()), 256)
        page.go(f"head={layer}.{head}&pin=w{query},w{key}")
        assert page.readout.endswith(share(weights[layer, head, query, key]))
