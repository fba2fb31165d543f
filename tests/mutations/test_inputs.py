"""Breaks of what a model reads: the check makes the ids anew by transformers' tokenizer, and ends with code 5."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import transformers

from attnviz.encoding import Encoding, Languages, decoder_start, encode, encode_target
from attnviz.interface import opened
from attnviz.model import generation as writing
from tests import tiny, translators
from tests.cli.conftest import Run
from tests.translators import SOURCE, TARGET

S = tiny.SENTENCE
Change = Callable[[Encoding], Encoding]


@pytest.fixture(scope="module")
def nllb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return translators.nllb(tmp_path_factory.mktemp("nllb"))


@pytest.fixture(scope="module")
def chatty(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Path:
    """A Llama that has a chat template."""
    folder = shutil.copytree(tiny_llama, tmp_path_factory.mktemp("chatty") / "llama")
    template = "{% for message in messages %}[CLS] the {{ message.content }} [SEP]{% endfor %}it"
    transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), chat_template=template
    ).save_pretrained(folder)
    return folder


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts a ``change`` behind what encodes a text, or a target."""

    def put(change: Change, *, target: bool = False) -> None:
        name, made = ("encode_target", encode_target) if target else ("encode", encode)
        monkeypatch.setattr(opened, name, lambda *args, **kwargs: change(made(*args, **kwargs)))

    return put


def fails(run: Run, *command: object, place: str) -> None:
    result = run(*command)
    assert result.code == 5
    assert f"✗ attnviz tokenizes the text differently from transformers: {place}" in result.said
    assert "Do not rely on this picture" in result.said


def with_id(place: int, number: int) -> Change:
    """Another id in one place: the tokens stay as they are, as what is shown would."""
    return lambda read: replace(read, ids=(*read.ids[:place], number, *read.ids[place:][1:]))


def cut(read: Encoding) -> Encoding:
    """Without the last token, the mark at the end."""
    return replace(
        read,
        ids=read.ids[:-1],
        type_ids=read.type_ids[:-1],
        tokens=read.tokens[:-1],
        special=read.special[:-1],
        words=read.words[:-1],
    )


def test_unbroken_inputs_pass(run: Run, nllb: Path, chatty: Path) -> None:
    assert run("check", S, "--pair", S).code == 0
    assert run("check", SOURCE, "--target", TARGET, "-m", nllb).code == 0
    assert run("check", "the loan", "--chat", "-m", chatty).code == 0


@pytest.mark.parametrize("command", ["show", "check"])
def test_mutation_a_wrong_id(run: Run, broken: Callable[..., None], command: str) -> None:
    broken(with_id(0, 3))
    fails(
        run,
        command,
        S,
        place="token 0 is '[CLS]' with the id 3, and transformers' tokenizer makes '[CLS]' with the id 2",
    )


def test_mutation_a_word_lost(run: Run, broken: Callable[..., None]) -> None:
    broken(with_id(5, 8))
    fails(run, "show", S, place="token 5 is 'loan' with the id 8")


def test_mutation_wrong_token_types(run: Run, broken: Callable[..., None]) -> None:
    broken(lambda read: replace(read, type_ids=(0,) * len(read)))
    fails(run, "show", S, "--pair", "It had strong financials.", place="token 15 is 'it' with the type 0")


def test_mutation_no_mark_at_the_end(run: Run, broken: Callable[..., None]) -> None:
    broken(cut)
    fails(run, "check", S, place="token 14 is nothing, and transformers' tokenizer makes '[SEP]' with the id 3")


def test_mutation_a_wrong_start_of_the_decoder(run: Run, broken: Callable[..., None], nllb: Path) -> None:
    broken(with_id(0, 0), target=True)
    place = "token 0 of the decoder is '</s>' with the id 0, and transformers' tokenizer makes '</s>' with the id 2"
    fails(run, "show", SOURCE, "--target", TARGET, "-m", nllb, place=place)


@pytest.mark.parametrize("said", [["--target", TARGET], ["--generate", 3]])
def test_mutation_the_sources_language_for_the_target(
    run: Run, monkeypatch: pytest.MonkeyPatch, nllb: Path, said: list[Any]
) -> None:
    monkeypatch.setattr(Languages, "_known", lambda languages, *_: languages.source)
    place = "token 1 of the decoder is 'eng_Latn' with the id "
    fails(run, "check", SOURCE, *said, "--target-lang", "deu_Latn", "-m", nllb, place=place)


def test_mutation_the_languages_option_is_not_heard(run: Run, monkeypatch: pytest.MonkeyPatch, nllb: Path) -> None:
    monkeypatch.setattr(Languages, "around_source", lambda languages: languages.around("eng_Latn", target=False))
    command = ("show", SOURCE, "--target", TARGET, "-m", nllb, "--source-lang", "fra_Latn")
    fails(run, *command, place="token 0 of the encoder is 'eng_Latn' with the id ")


def test_mutation_a_wrong_start_of_what_is_written(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tiny.t5(tmp_path)
    monkeypatch.setattr(writing, "decoder_start", lambda tokenizer, start: decoder_start(tokenizer, start + 2))
    place = "token 0 of the decoder is '[CLS]' with the id 2, and transformers' tokenizer makes '[PAD]' with the id 0"
    fails(run, "show", S, "--generate", 3, "-m", folder, place=place)


def test_mutation_the_chat_template_is_passed_over(run: Run, monkeypatch: pytest.MonkeyPatch, chatty: Path) -> None:
    monkeypatch.setattr(opened, "chat_text", lambda _, text: text)
    fails(run, "show", "the loan", "--chat", "-m", chatty, place="token 0 is 'the' with the id ")


def test_mutation_windows_that_are_shifted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from attnviz.encoding import windows

    real = windows._part
    monkeypatch.setattr(windows, "_part", lambda *args: with_id(-2, 5)(real(*args)))
    fails(run, "show", " ".join([S] * 6), "--windows", place="token ")
