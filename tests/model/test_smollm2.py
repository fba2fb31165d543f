"""A real decoder: SmolLM2-135M agrees with transformers, generates the same tokens, and reads long texts in windows."""

from __future__ import annotations

from pathlib import Path

import pytest

from attnviz.interface import Attention, load
from tests import tiny

pytestmark = [pytest.mark.real, pytest.mark.slow]


def test_it_agrees_with_transformers_in_every_head(real_decoder: Path) -> None:
    model = load(real_decoder)
    assert model.backend.name == "native"
    check = model.check(tiny.SENTENCE * 8)
    assert check.heads == 270
    assert check.passed


def test_bank_is_looked_at_by_approved_and_loan(real_decoder: Path) -> None:
    attention = load(real_decoder).attend(tiny.SENTENCE)
    assert isinstance(attention, Attention)
    pairs = {(link.query, link.key) for link in attention.links(top=8)}
    assert {("approved", "bank"), ("loan", "bank"), ("financials", "strong")} <= pairs


def test_it_writes_what_transformers_writes(real_decoder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = load(real_decoder)
    found = model.attend("The bank", generate=12)
    assert isinstance(found, Attention)
    writer = AutoModelForCausalLM.from_pretrained(real_decoder)
    ids = torch.tensor([model.encode("The bank").ids])
    written = writer.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12)[0].tolist()
    assert list(found.encoding.ids) == written
    assert found.encoding.generated == 12
    assert found.encoding.text.startswith("The bank")


def test_a_chat_is_put_into_its_template(real_decoder: Path) -> None:
    encoding = load(real_decoder).encode("Why is the sky blue?", chat=True)
    assert encoding.words[0].text == "<|im_start|>"
    assert encoding.special[0]
    assert [word.text for word in encoding.words if word.text in ("user", "sky", "assistant")][-3:] == [
        "user", "sky", "assistant",
    ]  # fmt: skip
