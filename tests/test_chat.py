"""A model's chat template formats a user's message, and is never trusted."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, BertModel

from attnviz.checkpoint import Checkpoint, open_checkpoint, open_in_memory, sandbox
from attnviz.checkpoint.chat import chat_text
from attnviz.encoding import encode
from attnviz.errors import InputError, ModelError, UsageError
from tests import tiny
from tests.vocabularies import KINDS

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SETTINGS = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>"}


def chatting(folder: Path, template: str | None = TEMPLATE, *, file: bool = False) -> Checkpoint:
    """A random model with Qwen's tokenizer and a template, in its settings or in a file of its own."""
    tiny.bert(folder, num_hidden_layers=1)
    KINDS["qwen2"]().save(str(folder / "tokenizer.json"))
    settings: dict[str, Any] = dict(SETTINGS)
    if template is not None and file:
        folder.joinpath("chat_template.jinja").write_text(template)
    elif template is not None:
        settings["chat_template"] = template
    folder.joinpath("tokenizer_config.json").write_text(json.dumps(settings))
    return open_checkpoint(folder)


@pytest.mark.parametrize("file", [False, True])
def test_a_message_is_written_as_the_template_says(file: bool, tmp_path: Path) -> None:
    checkpoint = chatting(tmp_path, file=file)
    text = chat_text(checkpoint, "The bank?")
    assert text == "<|im_start|>user\nThe bank?<|im_end|>\n<|im_start|>assistant\n"
    theirs = AutoTokenizer.from_pretrained(tmp_path).apply_chat_template(
        [{"role": "user", "content": "The bank?"}], add_generation_prompt=True, return_dict=False
    )
    encoding = encode(checkpoint.tokenizer, text, marks=False)
    assert list(encoding.ids) == theirs
    marked = [word.text for word in encoding.words if encoding.special[word.start]]
    assert marked == ["<|im_start|>", "<|im_end|>", "<|im_start|>"]


def test_a_template_that_begins_with_bos_gives_one_bos() -> None:
    tokenizer = KINDS["llama3"]()
    text = "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nthe bank<|eot_id|>"
    encoding = encode(tokenizer, text, marks=False)
    assert encoding.tokens[:2] == ("<|begin_of_text|>", "<|start_header_id|>")
    assert encode(tokenizer, text).tokens[:2] == ("<|begin_of_text|>", "<|begin_of_text|>")


def test_a_chat_that_is_too_long_is_cut_like_any_text() -> None:
    tokenizer = KINDS["llama3"]()
    text = "<|begin_of_text|>the bank of the river"
    with pytest.raises(InputError, match="the model takes 3"):
        encode(tokenizer, text, limit=3, marks=False)
    cut = encode(tokenizer, text, limit=3, truncate=True, marks=False)
    assert cut.tokens == ("<|begin_of_text|>", "the", "bank")
    assert cut.dropped == len(encode(tokenizer, text, marks=False)) - 3


def test_a_model_in_memory_has_its_users_template(tmp_path: Path) -> None:
    chatting(tmp_path, None)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.chat_template = "Q: {{ messages[0]['content'] }}\nA:"
    adopted = open_in_memory(BertModel.from_pretrained(tmp_path), tokenizer)
    assert chat_text(adopted, "The bank?") == "Q: The bank?\nA:"


def test_a_model_without_a_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no chat template") as caught:
        chat_text(chatting(tmp_path, None), "The bank?")
    assert "-Instruct" in caught.value.hint


def test_a_model_from_the_hub_may_have_a_template_that_is_not_cached(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        chat_text(replace(chatting(tmp_path, None), name="someone/some-chat"), "The bank?")
    assert "hf download someone/some-chat" in caught.value.hint


def test_a_tokenizer_that_knows_no_templates_has_none(tmp_path: Path) -> None:
    adopted = open_in_memory(BertModel.from_pretrained(tiny.bert(tmp_path)), tiny.wordpiece())
    with pytest.raises(UsageError, match="has no chat template"):
        chat_text(adopted, "The bank?")


@pytest.mark.parametrize(
    "template",
    ["{% for", "{{ 1 / 0 }}", "{{ nothing.at.all }}", "{{ raise_exception('no') }}", "{% include 'x' %}",
     "{% for i in range(1000000) %}{% endfor %}"],
)  # fmt: skip
def test_a_broken_template_is_said_to_be_so(template: str, tmp_path: Path) -> None:
    checkpoint = chatting(tmp_path, template)
    with pytest.raises(ModelError, match=r"the chat template of .* can't be rendered") as caught:
        chat_text(checkpoint, "The bank?")
    assert "without a chat" in caught.value.hint


_ALL = "range(99999)"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (f"{{% for i in {_ALL} %}}{{% for j in {_ALL} %}}{{% endfor %}}{{% endfor %}}", "more than 1 seconds"),
        ("{{ 10 ** 1000000000 }}", "more than"),
        ("{{ 'x' * 10 ** 10 }}", "more than 1 GiB"),
        (f"{{% for i in {_ALL} %}}{{{{ 'x' * 10 ** 6 }}}}{{% endfor %}}", "more than 1 GiB"),
        ("{{ 'x' * 20000000 }}", "20,000,000 characters, of which 10,000,000"),
    ],
    ids=["loops", "a number", "a string", "strings", "long"],
)
def test_a_template_that_explodes_is_stopped(
    template: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "MAX_SECONDS", 1)
    with pytest.raises(ModelError, match=said) as caught:
        chat_text(chatting(tmp_path, template), "The bank?")
    assert "can't be rendered" in caught.value.message


def test_a_program_that_answers_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "MAX_SECONDS", 0.01)
    monkeypatch.setattr(sandbox, "_confine", bool)
    with pytest.raises(sandbox.SandboxLimitError, match="more than"):
        sandbox.run_sandboxed(lambda: str(time.sleep(1000)))


def test_where_a_process_can_not_be_copied_the_result_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.sys, "platform", "win32")
    assert sandbox.run_sandboxed(lambda: "é") == "é"
    with pytest.raises(sandbox.SandboxLimitError, match="10,000,001"):
        sandbox.run_sandboxed(lambda: "x" * 10_000_001)
    with pytest.raises(RuntimeError, match="zero"):
        sandbox.run_sandboxed(lambda: str(1 / 0))


@pytest.mark.parametrize(
    "template",
    ["{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ messages.__class__.__base__.__subclasses__() }}",
     "{{ cycler.__init__.__globals__.os.system('true') }}"],
)  # fmt: skip
def test_a_hostile_template_gets_no_further_than_its_sandbox(template: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="can't be rendered"):
        chat_text(chatting(tmp_path, template), "The bank?")


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_blank_message_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the text is empty"):
        chat_text(chatting(tmp_path), text)
