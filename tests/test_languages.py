"""Models of many languages: the language of a text, and what the decoder begins with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import PreTrainedTokenizerFast

from attnviz.attention.intervened import CHANGED
from attnviz.attention.interventions import Zero
from attnviz.errors import InputError, ModelError, UsageError
from attnviz.interface import EncoderDecoder, load
from attnviz.model.architecture.description import describe
from attnviz.model.backends import Options, open_by_transformers
from attnviz.model.overview import overview
from attnviz.record import read, save
from attnviz.render.terminal.screen import summary_heading
from tests import tiny, translators
from tests.model.variants import xlm as xlm_variants
from tests.model.variants import xmod as xmod_variants
from tests.translators import SOURCE, TARGET

MAKERS = {
    "nllb": translators.nllb,
    "m2m100": translators.m2m100,
    "mbart": translators.mbart,
    "mbart50": translators.mbart50,
    "plbart": translators.plbart,
}
OTHER = {"nllb": "deu_Latn", "m2m100": "de", "mbart": "de_DE", "mbart50": "de_DE", "plbart": "python"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in MAKERS.items()}


def by_transformers(folder: Path, **languages: str) -> tuple[list[int], list[int]]:
    """Return what transformers makes of the text and of the target, shifted by the model's own function."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **languages)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder)
    made = tokenizer(SOURCE, text_target=TARGET, return_tensors="pt")
    shift = getattr(transformers, type(model).__name__).__module__
    module = __import__(shift, fromlist=["shift_tokens_right"])
    start = () if "bart" in shift else (model.config.decoder_start_token_id,)
    read: torch.Tensor = module.shift_tokens_right(made["labels"], model.config.pad_token_id, *start)
    return made["input_ids"][0].tolist(), read[0].tolist()


def ids(found: Any) -> tuple[list[int], list[int]]:
    assert isinstance(found, EncoderDecoder)
    return list(found.encoder.encoding.ids), list(found.decoder.encoding.ids)


@pytest.mark.parametrize("name", MAKERS)
def test_both_sides_read_their_own_language(folders: dict[str, Path], name: str) -> None:
    assert ids(load(folders[name]).attend(SOURCE, target=TARGET)) == by_transformers(folders[name])
    other = OTHER[name]
    chosen = load(folders[name], source_lang=other, target_lang=other)
    assert ids(chosen.attend(SOURCE, target=TARGET)) == by_transformers(folders[name], src_lang=other, tgt_lang=other)
    assert chosen.check(SOURCE, target=TARGET).passed


@pytest.mark.parametrize("name", MAKERS)
def test_a_model_writes_in_the_targets_language_as_transformers_does(folders: dict[str, Path], name: str) -> None:
    folder, code = folders[name], OTHER[name]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder)
    token = f"__{code}__" if name in ("m2m100", "plbart") else code
    mark = tokenizer.convert_tokens_to_ids(token)
    begin = {"decoder_start_token_id": mark} if name in ("mbart", "plbart") else {"forced_bos_token_id": mark}
    theirs = model.generate(**tokenizer(SOURCE, return_tensors="pt"), do_sample=False, max_new_tokens=5, **begin)
    loaded = load(folder, target_lang=code)
    assert ids(loaded.attend(SOURCE, generate=5))[1] == theirs[0].tolist()
    assert loaded.check(SOURCE, generate=5).passed
    hosted = load((model, tokenizer), target_lang=code)
    assert ids(hosted.attend(SOURCE, generate=5))[1] == theirs[0].tolist()


def test_a_mark_in_a_text_is_read_as_the_models_own_tokenizer_does(folders: dict[str, Path]) -> None:
    loaded = load(folders["m2m100"])
    for given in ({"text": "The __fr__ house"}, {"text": SOURCE, "target": "La __fr__ maison"}):
        with pytest.raises(InputError, match=r"has '__fr__' at character [34], the mark of a language"):
            loaded.attend(**given)
    plbart = load(folders["plbart"])
    assert "__java__" in plbart.encode("The __java__ house").tokens
    assert plbart.check("The __java__ house", target=TARGET).passed


def test_the_text_side_of_seamless_is_run_without_the_rest(tmp_path: Path) -> None:
    loaded = load(translators.seamless(tmp_path), target_lang="deu")
    assert ids(loaded.attend(SOURCE, target=TARGET)) == by_transformers(tmp_path, tgt_lang="deu")
    assert loaded.check(SOURCE, target=TARGET).passed


def test_the_old_order_of_nllb_has_the_language_behind_the_text(tmp_path: Path) -> None:
    folder = translators.nllb(tmp_path, legacy_behaviour=True)
    found = load(folder).attend(SOURCE, target=TARGET)
    assert ids(found) == by_transformers(folder)
    assert found.encoder.tokens[-2:] == ("</s>", "eng_Latn")
    assert found.decoder.tokens[0] == "</s>"


def test_a_tokenizer_in_memory_keeps_its_languages(folders: dict[str, Path]) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders["nllb"], src_lang="fra_Latn", tgt_lang="deu_Latn")
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folders["nllb"])
    before = tokenizer.backend_tokenizer.to_str()
    loaded = load((model, tokenizer))
    found = loaded.attend(SOURCE, target=TARGET)
    assert (found.encoder.tokens[0], found.decoder.tokens[:2]) == ("fra_Latn", ("</s>", "deu_Latn"))
    assert loaded.check(SOURCE, target=TARGET).passed
    assert (
        load((model, tokenizer), source_lang="eng_Latn").attend(SOURCE, target=TARGET).encoder.tokens[0] == "eng_Latn"
    )
    assert (tokenizer.backend_tokenizer.to_str(), tokenizer.tgt_lang) == (before, "deu_Latn")


def test_what_a_model_says_of_its_generations_stands_unless_another_language_is_asked_for(tmp_path: Path) -> None:
    folder = translators.mbart50(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    german = tokenizer.convert_tokens_to_ids("de_DE")
    transformers.GenerationConfig(decoder_start_token_id=2, forced_bos_token_id=german, eos_token_id=2).save_pretrained(
        folder
    )
    assert load(folder).attend(SOURCE, generate=2).decoder.tokens[:2] == ("</s>", "de_DE")
    asked = load(folder, target_lang="ro_RO").attend(SOURCE, generate=2)
    assert asked.decoder.tokens[:2] == ("</s>", "ro_RO")


def test_without_a_target_language_the_option_is_named(tmp_path: Path) -> None:
    loaded = load(translators.nllb(tmp_path, tgt_lang=None))
    for given in ({"target": TARGET}, {"generate": 3}, {}):
        with pytest.raises(UsageError, match=r"3 languages[^.]*\n[^.]*Give its code as `target_lang`") as raised:
            loaded.attend(SOURCE, **given)
        assert "eng_Latn, fra_Latn, deu_Latn" in raised.value.hint


def test_unknown_languages_are_refused_with_the_near_miss(folders: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="`target_lang` is 'fra_Lat': it is none of the 3 languages") as raised:
        load(folders["nllb"], target_lang="fra_Lat")
    assert raised.value.hint == "Did you mean fra_Latn?"
    number: Any = 3
    with pytest.raises(UsageError, match="`target_lang` is 3: it is none of the 3 languages"):
        load(folders["nllb"], target_lang=number)
    with pytest.raises(UsageError, match=r"`source_lang` is 'xx'.*none of the") as raised:
        load(folders["mbart"], source_lang="xx")
    assert raised.value.hint.startswith("Give one of them: ")


def test_languages_are_for_models_that_have_some(tiny_bert: Path) -> None:
    with pytest.raises(UsageError, match=r"`source_lang` is 'de', and the tokenizer of .* marks no languages"):
        load(tiny_bert, source_lang="de")


def test_a_text_of_plbart_may_have_no_language(folders: dict[str, Path]) -> None:
    found = load(folders["plbart"]).attend(SOURCE, target=TARGET)
    assert (found.encoder.tokens[-1], found.decoder.tokens[0]) == ("</s>", "</s>")
    both = load(folders["plbart"], source_lang="java", target_lang="__en_XX__").attend(SOURCE, target=TARGET)
    assert both.encoder.tokens[-2:] == ("</s>", "__java__")
    assert (both.decoder.tokens[0], both.decoder.tokens[-1]) == ("__en_XX__", "</s>")


@pytest.mark.parametrize("text", ["  two  spaces ", "a line\nand né", "日本語 the river", "</s> the <unk> river"])
@pytest.mark.parametrize("name", ["m2m100", "plbart"])
def test_pieces_of_sentencepiece_are_those_of_transformers(folders: dict[str, Path], name: str, text: str) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders[name])
    found = load(folders[name]).encode(text)
    assert list(found.ids) == tokenizer(text)["input_ids"]
    assert found.words


def xmod(folder: Path, **config: Any) -> Path:
    """Save an X-MOD with adapters for three languages."""
    sizes = {**xmod_variants.SHAPE, "vocab_size": len(tiny.VOCABULARY), "pad_token_id": 0}
    shape = transformers.XmodConfig(**sizes, languages=["en_XX", "de_DE", "sw_KE"], **config)
    return tiny.save(folder, transformers.XmodModel(shape))


def xlm(folder: Path, **config: Any) -> Path:
    """Save an XLM with vectors of two languages."""
    shape = {**xlm_variants.SHAPE, **xlm_variants.TWO, "vocab_size": len(tiny.VOCABULARY), "pad_token_id": 0}
    return tiny.save(folder, transformers.XLMModel(transformers.XLMConfig(**shape, **config)))


def weights(model: Any) -> Any:
    return model.attend(tiny.SENTENCE).weights


def test_adapters_of_the_language_that_is_named_run(tmp_path: Path) -> None:
    folder = xmod(tmp_path, default_language="sw_KE")
    german = load(folder, source_lang="de_DE")
    assert (german.backend.name, german.backend.network.spec.language) == ("native", "de_DE")
    own = transformers.XmodModel.from_pretrained(folder, attn_implementation="eager").eval()
    read = torch.tensor([german.attend(tiny.SENTENCE).encoding.ids])
    for model, number in ((german, 1), (load(folder), 2)):
        with torch.inference_mode():
            theirs = own(read, lang_ids=torch.tensor([number]), output_attentions=True).attentions
        np.testing.assert_allclose(weights(model), torch.cat(theirs).numpy(), atol=1e-5)
        assert model.check(tiny.SENTENCE).passed
    assert np.abs(weights(german) - weights(load(folder))).max() > 0.01
    assert describe(german.backend.network.spec)["language"] == "de_DE"
    own.set_default_language("en_XX")
    english = load((own, PreTrainedTokenizerFast(tokenizer_object=tiny.wordpiece())), source_lang="de_DE")
    np.testing.assert_array_equal(weights(english), weights(german))
    assert english.check(tiny.SENTENCE).passed


def test_a_model_with_adapters_must_know_the_language(tmp_path: Path) -> None:
    folder = xmod(tmp_path)
    with pytest.raises(ModelError, match=r"adapters for 3 languages, and config\.json names none") as raised:
        weights(load(folder))
    assert raised.value.hint == "Give the text's as `source_lang`, such as en_XX, de_DE, sw_KE"
    with pytest.raises(UsageError, match="`source_lang` is 'de_DD': it is none of the 3 languages") as raised_by_name:
        load(folder, source_lang="de_DD")
    assert raised_by_name.value.hint == "Did you mean de_DE?"


def test_the_vector_of_the_language_that_is_named_is_added(tmp_path: Path) -> None:
    french, silent = load(xlm(tmp_path), source_lang="fr"), load(tmp_path)
    own = transformers.XLMModel.from_pretrained(tmp_path).eval()
    read = torch.tensor([french.attend(tiny.SENTENCE).encoding.ids])
    for model, given in ((french, {"langs": torch.ones_like(read)}), (silent, {})):
        with torch.inference_mode():
            theirs = own(read, attention_mask=torch.ones_like(read), output_attentions=True, **given).attentions
        np.testing.assert_allclose(weights(model), torch.cat(theirs).numpy(), atol=1e-5)
        assert model.check(tiny.SENTENCE).passed
    assert np.abs(weights(french) - weights(silent)).max() > 0.01


def test_vectors_of_languages_are_used_unless_a_config_says_otherwise(tmp_path: Path) -> None:
    path = xlm(tmp_path) / "config.json"
    config = json.loads(path.read_text())
    told = weights(load(tmp_path, source_lang="fr"))
    del config["use_lang_emb"]
    path.write_text(json.dumps(config | {"default_language": "fr"}))
    silent = load(tmp_path)
    np.testing.assert_array_equal(weights(silent), told)
    np.testing.assert_array_equal(weights(load(tmp_path, source_lang="fr")), told)
    assert silent.check(tiny.SENTENCE).passed
    for none in ({"use_lang_emb": False}, {"n_langs": 1}):
        path.write_text(json.dumps(config | none))
        with pytest.raises(UsageError, match="marks no languages"):
            load(tmp_path, source_lang="fr")


@pytest.mark.parametrize("make", [xmod, xlm])
def test_the_language_that_a_text_is_read_as_is_named_wherever_it_is_shown(make: Any, tmp_path: Path) -> None:
    code = "de_DE" if make is xmod else "fr"
    folder = make(tmp_path)
    german = load(folder, source_lang=code)
    observed = german.observe(tiny.SENTENCE)
    assert summary_heading(observed).plain.endswith(f" · read as {code}")
    found = german.attend(tiny.SENTENCE)
    assert found.note == f"read as {code}"
    save(found, tmp_path / "record.json")
    assert read(tmp_path / "record.json").note == f"read as {code}"
    assert german.check_record(found).passed
    assert german.check_record(observed).passed
    with german.intervene(Zero(0, 0)):
        changed = german.attend(tiny.SENTENCE)
    assert changed.note == CHANGED
    with pytest.raises(UsageError, match="changed by interventions"):
        german.check_record(changed)
    assert overview(german.checkpoint).facts["language"] == code
    assert open_by_transformers(german.checkpoint, Options()).note == f"read as {code}"


def test_a_model_without_languages_of_its_own_names_none(tiny_bert: Path) -> None:
    assert load(tiny_bert).attend(tiny.SENTENCE).note == ""
