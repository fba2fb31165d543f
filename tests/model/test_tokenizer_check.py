"""Comparing ids with transformers' tokenizer: when it can serve as the reference, and when the verdict says it
can't.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import transformers

from attnviz.encoding import decoder_start
from attnviz.interface import Model, load
from attnviz.model.hosted import loaded as hosted
from tests import tiny, translators
from tests.vocabularies import KINDS


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = transformers.GPT2Config(
        vocab_size=len(tiny.VOCABULARY), n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=2, eos_token_id=3
    )
    return tiny.save(tmp_path_factory.mktemp("gpt2"), transformers.GPT2LMHeadModel(config))


def test_types_of_a_pair_are_no_words_of_a_model_without_types(gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(gpt2)
    assert model.encode("the bank", "a river").type_ids[-1] == 1
    assert model.check("the bank", "a river").passed
    monkeypatch.setattr(hosted, "reads_types", lambda *_: True)  # transformers' GPT-2 takes vectors of words for them
    assert not model.check("the bank", "a river").passed


def test_a_class_that_transformers_guesses_is_named(gpt2: Path) -> None:
    found = load(gpt2).check("the bank")
    assert found.passed
    assert found.inputs.reason == "those of tokenizer.json, which transformers' GPT2Tokenizer reads otherwise"


def test_a_class_that_the_tokenizer_names_is_taken_at_its_word(tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path)
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": False}
    folder.joinpath("tokenizer_config.json").write_text(json.dumps(settings))
    model = load(folder)
    assert model.check(tiny.SENTENCE).inputs.reason == ""
    model.checkpoint.tokenizer.normalizer = KINDS["bert"]().normalizer  # lower case, whatever the settings say
    found = model.check(tiny.SENTENCE)
    assert not found.passed
    assert found.inputs.differs.startswith("token 1 is 'the' with the id ")


def test_a_tokenizer_that_transformers_can_not_load_is_no_failure(tiny_bert: Path, tmp_path: Path) -> None:
    for file in tiny_bert.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "M2M100Tokenizer"}')
    found = load(tmp_path).check(tiny.SENTENCE)
    assert found.passed
    assert found.inputs.reason.startswith("transformers' tokenizer can't make them: ")


def test_records_that_say_no_text_are_not_compared(tiny_model: Model) -> None:
    encoding = replace(tiny_model.encode(tiny.SENTENCE), source=None)
    found = tiny_model.check_encoding(encoding)
    assert (found.passed, found.inputs.reason) == (True, "nothing says from which text the ids were made")


def test_a_decoder_that_is_given_its_start_alone_has_no_language_yet(tmp_path: Path) -> None:
    model = load(translators.nllb(tmp_path))
    start = decoder_start(model.checkpoint.tokenizer, 2)
    assert model.check_encoding(model.encode(translators.SOURCE), start).passed
    assert not model.check_encoding(model.encode(translators.SOURCE), replace(start, ids=(0,))).passed
