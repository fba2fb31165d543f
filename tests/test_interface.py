"""The Python interface: load, attend, links, save and open, check, and a record that draws itself."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import attnviz
from attnviz import record
from attnviz.analysis.text.offsets import positional_heads
from attnviz.analysis.text.replaying import replay
from attnviz.errors import InputError, UsageError
from attnviz.interface import Attention, EncoderDecoder, Model
from tests import tiny
from tests.analysis.whole import in_words
from tests.records import three_maps

REPEATED = "The bank and the loan and the river."


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = """
import sys, attnviz
from attnviz import Attention, EncoderDecoder, Model, load
heavy = ["torch", "transformers", "matplotlib", "tokenizers", "safetensors", "huggingface_hub", "typer", "rich"]
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_shows_its_names() -> None:
    interventions = ["Cut", "Freeze", "Mean", "Patch", "Zero"]
    assert sorted(dir(attnviz)) == sorted([*interventions, "Attention", "EncoderDecoder", "Model", "load"])
    assert (attnviz.Attention, attnviz.EncoderDecoder, attnviz.Model) == (Attention, EncoderDecoder, Model)
    with pytest.raises(AttributeError, match="no attribute 'attend'"):
        attnviz.attend  # noqa: B018


def test_attend_gives_weights_of_all_layers_and_heads(tiny_model: Model, tiny_attention: Attention) -> None:
    att = tiny_attention
    assert (att.model, att.backend, att.causal) == (tiny_model.name, "native", False)
    assert (att.weights.shape, att.weights.dtype) == ((3, 4, 15, 15), np.float32)
    assert (att.layers, att.heads) == (3, 4)
    assert np.abs(att.weights.sum(-1) - 1).max() < 1e-6
    assert att.tokens[:3] == ("[CLS]", "the", "bank")
    assert att.words[:3] == ("[CLS]", "The", "bank")
    assert att.words[-3:] == ("financials", ".", "[SEP]")
    assert repr(att) == f"<Attention of {tiny_model.name}: 3 layers × 4 heads, 15 tokens, 14 words>"


def test_attend_takes_a_pair(tiny_model: Model) -> None:
    att = tiny_model.attend("The bank.", "The loan.")
    assert att.words == ("[CLS]", "The", "bank", ".", "[SEP]", "The", "loan", ".", "[SEP]")
    assert att.encoding.type_ids == (0,) * 5 + (1,) * 4


def test_attend_cuts_a_long_text_only_if_told_to(tiny_model: Model) -> None:
    text = "the bank " * 40
    with pytest.raises(InputError, match="82 tokens, the model takes 64"):
        tiny_model.attend(text)
    att = tiny_model.attend(text, truncate=True)
    assert (len(att.tokens), att.encoding.dropped) == (64, 18)
    assert tiny_model.check(text, truncate=True).passed


def test_the_model_is_opened_once(tiny_model: Model) -> None:
    assert tiny_model.backend is tiny_model.backend
    assert (tiny_model.backend.name, tiny_model.reason) == ("native", "")


def test_links_from_a_word_are_its_own_and_the_strongest(tiny_attention: Attention) -> None:
    units = in_words(tiny_attention)
    content = [i for i in range(len(units.keys)) if units.keys.content[i]]
    bank = units.queries.labels.index("bank")
    links = tiny_attention.links("bank", top=3)
    weights = units.weights.copy()
    for head in positional_heads(replay(tiny_attention)):
        weights[head.layer, head.head] = 0
    best = sorted((float(weights[:, :, bank, key].max()) for key in content if key != bank), reverse=True)
    assert [link.query for link in links] == ["bank"] * 3
    assert [link.weight for link in links] == pytest.approx(best[:3])
    for link in links:
        place = link.layer, link.head, link.query_index, link.key_index
        assert link.weight == pytest.approx(units.weights[place], rel=1e-6)
        assert (link.query_index, units.keys.labels[link.key_index]) == (bank, link.key)
        assert link.key not in ("[CLS]", "[SEP]", ".", "The", "the", "bank")


def test_links_in_any_case(tiny_attention: Attention) -> None:
    assert tiny_attention.links("BANK") == tiny_attention.links("bank")


def test_links_from_one_occurrence_of_a_word(tiny_model: Model) -> None:
    att = tiny_model.attend(REPEATED)
    places = [i for i, word in enumerate(att.words) if word.casefold() == "the"]
    assert len(places) == 3
    assert {link.query_index for link in att.links("the", top=100)} == set(places)
    assert {link.query_index for link in att.links("the:2", top=100)} == {places[1]}
    assert {link.query for link in att.links("the:1")} == {"The"}


@pytest.mark.parametrize(
    ("word", "message"),
    [("money", "no word 'money'"), ("the:4", "'the' occurs 3 times"), ("bank:0", "occurs once"), ("", "no word ''")],
)
def test_a_word_that_is_not_there_is_an_error(tiny_model: Model, word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tiny_model.attend(REPEATED).links(word)


def test_links_of_all_words_are_ordered_and_each_pair_comes_once(tiny_attention: Attention) -> None:
    links = tiny_attention.links(top=1000)
    weights = [link.weight for link in links]
    pairs = [(link.query_index, link.key_index) for link in links]
    assert weights == sorted(weights, reverse=True)
    assert len(set(pairs)) == len(pairs)
    assert len(links) > 10
    assert tiny_attention.links(top=2) == links[:2]
    assert not {"[CLS]", "[SEP]", ".", "the"} & {word.casefold() for link in links for word in (link.query, link.key)}


def test_special_brings_in_special_tokens_and_punctuation(tiny_attention: Attention) -> None:
    keys = {link.key for link in tiny_attention.links("bank", top=100, special=True)}
    assert {"[CLS]", "[SEP]", "."} <= keys


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_record_is_opened_as_it_was_saved(suffix: str, tiny_model: Model, tmp_path: Path) -> None:
    att = tiny_model.attend("The bank, naïve 銀行.", "The loan?")
    path = tmp_path / f"record{suffix}"
    att.save(path)
    opened = Attention.open(str(path))
    assert type(opened) is Attention
    assert (opened.model, opened.backend, opened.causal, opened.encoding) == (
        att.model,
        att.backend,
        att.causal,
        att.encoding,
    )
    assert opened.weights.dtype == att.weights.dtype
    assert np.array_equal(opened.weights, att.weights)
    assert opened.links("bank") == att.links("bank")


def test_opening_what_is_no_record_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        Attention.open(tmp_path / "nothing.json")
    tmp_path.joinpath("other.json").write_text("{}")
    with pytest.raises(InputError, match="is not a record of attnviz"):
        Attention.open(tmp_path / "other.json")


@pytest.fixture
def three() -> EncoderDecoder:
    found = three_maps(["The", "bank", "of", "rivers", "[</s>]"], ["[<pad>]", "Die", "Bank"], generated=1)
    return EncoderDecoder(**{name: Attention(**vars(each)) for name, each in vars(found).items()})


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_three_maps_are_opened_as_they_were_saved(suffix: str, three: EncoderDecoder, tmp_path: Path) -> None:
    path = tmp_path / f"record{suffix}"
    three.save(str(path))
    opened = EncoderDecoder.open(str(path))
    assert type(opened) is EncoderDecoder
    assert isinstance(opened, record.EncoderDecoderRecord)
    for name in ("encoder", "decoder", "cross"):
        before, after = getattr(three, name), getattr(opened, name)
        assert type(after) is Attention
        assert (after.kind, after.encoding, after.keys) == (name, before.encoding, before.keys)
        assert np.array_equal(after.weights, before.weights)
    assert repr(opened) == repr(three)
    assert opened.cross.links("Bank") == three.cross.links("Bank")


def test_each_kind_of_record_is_opened_by_its_own_class(
    three: EncoderDecoder, tiny_attention: Attention, tmp_path: Path
) -> None:
    three.save(tmp_path / "three.json")
    tiny_attention.save(tmp_path / "one.json")
    three.cross.save(tmp_path / "cross.json")
    with pytest.raises(InputError, match="holds the three maps of an encoder–decoder") as caught:
        Attention.open(tmp_path / "three.json")
    assert caught.value.hint == "Open it with EncoderDecoder.open."
    with pytest.raises(InputError, match="holds one map, not the three of an encoder–decoder") as caught:
        EncoderDecoder.open(tmp_path / "one.json")
    assert caught.value.hint == "Open it with Attention.open."
    assert Attention.open(tmp_path / "cross.json").kind == "cross"


def test_links_of_a_cross_map_go_from_the_target_to_the_source(three: EncoderDecoder) -> None:
    links = three.cross.links("Bank", top=9)
    assert {(link.query, link.query_index) for link in links} == {("Bank", 2)}
    assert sorted(link.key for link in links) == ["bank", "rivers"]
    for link in links:
        assert link.weight == three.cross.weights[link.layer, link.head, link.query_index, link.key_index]
    with pytest.raises(UsageError, match="the target text has no word 'rivers'"):
        three.cross.links("rivers")


def test_three_maps_draw_themselves_as_the_cross_map(three: EncoderDecoder) -> None:
    assert three._repr_png_() == three.cross._repr_png_() != three.decoder._repr_png_()


def test_a_record_draws_itself(tiny_attention: Attention) -> None:
    png = tiny_attention._repr_png_()
    image = Image.open(io.BytesIO(png))
    image.load()
    assert image.format == "PNG"
    assert min(image.size) > 100
    colours = image.convert("RGB").getcolors(maxcolors=1 << 24)
    assert colours is not None
    assert len(colours) > 50


def test_a_record_shows_its_page_in_a_frame_with_a_picture_and_a_line(
    tiny_attention: Attention, three: EncoderDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in (tiny_attention, three):
        bundle = each._repr_mimebundle_(include=None, exclude=None)
        assert base64.b64decode(bundle["image/png"]) == each._repr_png_()
        assert bundle["text/plain"] == repr(each)
        html = bundle["text/html"]
        assert html.startswith('<iframe srcdoc="&lt;!doctype html&gt;')
        assert ' sandbox="allow-scripts" ' in html
        assert html.count("<") == 2
    monkeypatch.setattr("attnviz.interface.shown._FRAMED", 1000)
    assert set(tiny_attention._repr_mimebundle_()) == {"image/png", "text/plain"}


def test_the_record_of_the_interface_is_a_record(tiny_attention: Attention) -> None:
    assert isinstance(tiny_attention, record.AttentionRecord)


def test_check_says_the_largest_difference(tiny_model: Model) -> None:
    assert 0 <= tiny_model.check(tiny.SENTENCE).max_abs_diff <= 1e-5
    assert 0 <= tiny_model.check(tiny.SENTENCE, float64=True).max_abs_diff <= 1e-10


# Encoder–decoders

TARGET = "the loan of the bank"


@pytest.fixture(scope="session")
def t5(tiny_t5: Path) -> Model:
    return attnviz.load(tiny_t5)


@pytest.fixture(scope="session")
def attended(t5: Model) -> EncoderDecoder:
    found = t5.attend(tiny.SENTENCE, target=TARGET)
    assert isinstance(found, EncoderDecoder)
    return found


def test_an_encoder_decoder_gives_its_three_maps(t5: Model, attended: EncoderDecoder) -> None:
    assert t5.backend.name == "native"
    shapes = {"encoder": (3, 4, 15, 15), "decoder": (2, 4, 7, 7), "cross": (2, 4, 7, 15)}
    for kind, shape in shapes.items():
        found = getattr(attended, kind)
        assert type(found) is Attention
        assert (found.kind, found.weights.shape, found.backend, found.model) == (kind, shape, "native", t5.name)
        assert np.abs(found.weights.sum(-1) - 1).max() < 1e-6
    assert (attended.encoder.causal, attended.decoder.causal, attended.cross.causal) == (False, True, False)
    ahead = np.triu(np.ones((7, 7), bool), 1)
    assert (attended.decoder.weights[..., ahead] == 0).all()
    assert (attended.decoder.weights[..., ~ahead] > 0).all()


def test_a_target_is_read_shifted_right_from_the_token_that_decoders_start_with(attended: EncoderDecoder) -> None:
    source, target = attended.encoder.encoding, attended.decoder.encoding
    assert attended.encoder.tokens[:3] == ("[CLS]", "the", "bank")
    assert attended.decoder.tokens == ("[PAD]", "[CLS]", "the", "loan", "of", "the", "bank")
    assert (attended.cross.encoding, attended.cross.keys) == (target, source)
    assert target.special == (True, True, False, False, False, False, False)
    assert target.generated == 0


def test_the_decoder_sees_the_target_and_the_encoder_does_not(t5: Model, attended: EncoderDecoder) -> None:
    other = t5.attend(tiny.SENTENCE, target="the loan of a river")
    assert isinstance(other, EncoderDecoder)
    assert np.array_equal(other.encoder.weights, attended.encoder.weights)
    # The first five tokens are the same, and see nothing of what follows.
    assert np.abs(other.cross.weights[:, :, :5] - attended.cross.weights[:, :, :5]).max() < 1e-6
    assert np.abs(other.cross.weights[:, :, 5:7] - attended.cross.weights[:, :, 5:7]).max() > 1e-3


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_what_an_encoder_decoder_gave_is_opened_as_it_was_saved(
    suffix: str, attended: EncoderDecoder, tmp_path: Path
) -> None:
    attended.save(tmp_path / f"record{suffix}")
    opened = EncoderDecoder.open(tmp_path / f"record{suffix}")
    for kind in ("encoder", "decoder", "cross"):
        before, after = getattr(attended, kind), getattr(opened, kind)
        assert np.array_equal(before.weights, after.weights)
        assert (before.encoding, before.keys, before.causal) == (after.encoding, after.keys, after.causal)


def test_an_encoder_decoder_is_checked_in_all_its_maps(t5: Model, attended: EncoderDecoder) -> None:
    for found in (
        t5.check(tiny.SENTENCE, target=TARGET),
        t5.check(tiny.SENTENCE, target=TARGET, float64=True),
        t5.check_record(attended),
    ):
        assert found.passed
        assert found.heads == 4 * (3 + 2 + 2)
        assert [(layer.kind, layer.layer) for layer in found.layers] == [
            *[("encoder", i) for i in range(3)],
            *[("decoder", i) for i in range(2)],
            *[("cross", i) for i in range(2)],
        ]
        # What leaves the decoder's last layer is no part of a run that ends with the weights.
        assert [layer.hidden_abs_diff is None for layer in found.layers] == [False] * 4 + [True] * 3


def test_the_check_of_a_record_is_that_of_its_text(tiny_model: Model, tiny_attention: Attention) -> None:
    assert tiny_model.check_record(tiny_attention) == tiny_model.check(tiny.SENTENCE)


def test_a_hosted_model_is_checked(tiny_hosted: Path) -> None:
    model = attnviz.load(tiny_hosted)
    found = model.attend(tiny.SENTENCE)
    assert isinstance(found, Attention)
    assert (found.backend, found.causal, found.weights.shape) == ("hosted", True, (3, 4, 15, 15))
    check = model.check_record(found)
    assert (check.passed, check.heads, check.dtype) == (True, 12, "float32")
    exact = model.check(tiny.SENTENCE, float64=True)
    assert (exact.passed, exact.dtype, exact.tolerance) == (True, "float64", 1e-10)


def test_a_target_is_for_encoder_decoders_and_excludes_generating(tiny_model: Model, t5: Model) -> None:
    with pytest.raises(UsageError, match="has no decoder beside an encoder: it takes no target"):
        tiny_model.attend(tiny.SENTENCE, target=TARGET)
    with pytest.raises(UsageError, match="it takes no target"):
        tiny_model.check(tiny.SENTENCE, target=TARGET)
    with pytest.raises(UsageError, match="a target is given, and tokens to generate"):
        t5.attend(tiny.SENTENCE, target=TARGET, generate=3)
    with pytest.raises(InputError, match="the target is empty"):
        t5.attend(tiny.SENTENCE, target=" ")


def test_a_model_without_a_chat_template_says_so(tiny_model: Model) -> None:
    with pytest.raises(UsageError, match="has no chat template"):
        tiny_model.attend(tiny.SENTENCE, chat=True)


@pytest.mark.real
def test_the_example_of_the_documentation(real_model: Model) -> None:
    assert real_model.name == "sentence-transformers/all-MiniLM-L6-v2"
    att = real_model.attend(tiny.SENTENCE)
    assert att.weights.shape[:2] == (6, 12)
    link = att.links("bank", top=1)[0]
    assert (link.query, link.key) == ("bank", "loan")
    assert link.weight == pytest.approx(0.46, abs=0.01)
    assert (link.layer, link.head) == (5, 7)


def test_what_was_observed_shows_itself(tiny_model: Model) -> None:
    found = tiny_model.observe("The bank approved the loan because the company had strong financials.")
    bundle = found._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "image/png", "text/html"}
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert "sandbox" in bundle["text/html"]
    assert found.whole is None
    assert "3 layers × 4 heads" in bundle["text/plain"]
