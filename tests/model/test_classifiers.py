"""What classifiers say: the labels and scores of our own heads against transformers' logits."""

from __future__ import annotations

import io
import json
import re
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from rich.console import Console
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification, BertForTokenClassification, PreTrainedTokenizerFast

import attnviz
from attnviz import record
from attnviz.analysis.text.summary import summarise
from attnviz.errors import ModelError
from attnviz.interface import Attention, EncoderDecoder
from attnviz.model.families import FAMILIES
from attnviz.render.page.text import text_page
from attnviz.render.terminal.screen import summary_parts
from tests import tiny
from tests.model.variants import all_variants

SHAPE = {
    "vocab_size": len(tiny.VOCABULARY), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 40, "max_position_embeddings": 64,
}  # fmt: skip
TWO = {
    "bart": "Bart",
    "bigbird_pegasus": "BigBirdPegasus",
    "mbart": "MBart",
    "mvp": "Mvp",
    "plbart": "PLBart",
    "t5": "T5",
    "umt5": "UMT5",
}
"""Encoder–decoders, whose heads read the decoder, which is given the text once more."""
ENDS = {"eos_token_id": 3, "pad_token_id": 0, "decoder_start_token_id": 3}
"""The tokenizer's own special tokens."""
MOODS = {0: "NEGATIVE", 1: "POSITIVE", 2: "NEUTRAL"}


def classifiers() -> dict[tuple[str, str], Any]:
    """(family, class of transformers) → config, for each family that has classes which classify."""
    found = {}
    for (family, _), variant in all_variants().items():
        for ending in ("ForSequenceClassification", "ForTokenClassification"):
            stem = re.sub(r"(Model|For(?!mer)\w+|LMHeadModel|EncoderModel)$", "", variant.model)
            name = f"{stem.removesuffix('LMHead')}{ending}"
            left_out = stem == "Gemma3" or variant.target is not None or ("Seq" in ending and family in TWO)
            if hasattr(transformers, name) and not left_out:
                found.setdefault((family, name), variant.config)
    return found


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=tiny.wordpiece(), pad_token="[PAD]")


def made(name: str, config: Any, **more: Any) -> Any:
    kind = getattr(transformers, name)
    sizes = dict.fromkeys({"vocab_size", *(each for each in config if "vocab_size" in each)}, len(tiny.VOCABULARY))
    parts = {
        name: {**part, **sizes} for name, part in config.items() if isinstance(part, dict) and "vocab_size" in part
    }
    shape = kind.config_class(**{**config, **sizes, **parts, "id2label": MOODS, **more})
    model = kind._from_config(shape, attn_implementation="eager").eval()
    tiny.randomise(model, scale=0.2)
    return model


def theirs(model: Any, ids: tuple[int, ...]) -> Any:
    with torch.inference_mode():
        read = torch.tensor([ids])
        return model(input_ids=read, attention_mask=torch.ones_like(read)).logits[0].numpy()


@pytest.mark.parametrize("case", classifiers(), ids=" ".join)
def test_heads_against_transformers(case: tuple[str, str]) -> None:
    model = made(case[1], classifiers()[case])
    ours = attnviz.load((model, tokenizer()))
    assert ours.backend.name == "native"
    att = ours.attend(tiny.SENTENCE)
    assert isinstance(att, Attention)
    assert att.prediction
    logits = theirs(model, att.encoding.ids)
    np.testing.assert_allclose(att.prediction.logits, logits, atol=1e-5 * max(1, np.abs(logits).max()), rtol=0)
    assert att.prediction.per_token == case[1].endswith("ForTokenClassification")


@pytest.mark.parametrize("pooling", ["bos", "mean", "late"])
def test_a_head_that_takes_the_mean_before_or_behind_its_layers(pooling: str) -> None:
    config = classifiers()["eurobert", "EuroBertForSequenceClassification"]
    model = made("EuroBertForSequenceClassification", config, classifier_pooling=pooling)
    att = attnviz.load((model, tokenizer())).attend(tiny.SENTENCE)
    assert isinstance(att, Attention)
    np.testing.assert_allclose(att.prediction.logits, theirs(model, att.encoding.ids), atol=1e-5)


def test_two_stacks_whose_head_reads_the_last_token(tmp_path: Path) -> None:
    """In T5Gemma the decoder begins with its own token, and the head is that of decoders."""
    config = all_variants()["t5gemma", "two stacks"].config
    model = made("T5GemmaForSequenceClassification", config, eos_token_id=3, pad_token_id=0)
    ours = attnviz.load(tiny.save(tmp_path / "model", model))
    att = ours.attend(tiny.SENTENCE)
    assert isinstance(att, EncoderDecoder)
    said = theirs(model, att.encoder.encoding.ids)
    np.testing.assert_allclose(att.cross.prediction.logits, said, atol=1e-5 * max(1, np.abs(said).max()), rtol=0)
    check = ours.check_record(att)
    assert check.passed
    assert check.logits is not None


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("family", TWO)
def test_encoder_decoders_against_transformers(family: str, *, native: bool, tmp_path: Path) -> None:
    if family in ("bigbird_pegasus", "mvp") and not native:
        pytest.skip("transformers gives it no AttentionInterface: it can't be hosted")
    config = next(each.config for (name, _), each in all_variants().items() if name == family)
    model = made(f"{TWO[family]}ForSequenceClassification", config, **ENDS)
    if native:
        ours = attnviz.load(tiny.save(tmp_path / "model", model))
    else:
        model.register_forward_hook(lambda *_: None)  # so that transformers runs it
        ours = attnviz.load((model, tokenizer()))
    assert ours.backend.name == ("native" if native else "hosted")
    att = ours.attend(tiny.SENTENCE)
    assert isinstance(att, EncoderDecoder)
    source = att.encoder.encoding.ids
    said = theirs(model, source)
    for each in (att.encoder, att.decoder, att.cross, ours.attend(tiny.SENTENCE, target="the loan").cross):
        np.testing.assert_allclose(each.prediction.logits, said, atol=1e-5 * max(1, np.abs(said).max()), rtol=0)
    assert att.decoder.encoding.ids[1:] == source[:-1]  # it reads the text once more
    assert att.decoder.encoding.ids[0] == 3
    assert "label: " in repr(att)
    if native:
        assert ours.attend(tiny.SENTENCE, generate=2).decoder.encoding.generated == 2
    check = ours.check_record(att)
    assert check.passed
    assert check.logits
    att.save(tmp_path / "three.json")
    assert repr(EncoderDecoder.open(tmp_path / "three.json")) == repr(att)


def test_an_encoder_decoder_says_nothing_of_a_text_without_an_end() -> None:
    model = made(
        "BartForSequenceClassification",
        dict(all_variants()["bart", "encoder–decoder"].config),
        **ENDS | {"eos_token_id": 1},
    )
    att = attnviz.load((model, tokenizer())).attend(tiny.SENTENCE, target="the loan")
    assert att.cross.prediction is None


def test_most_families_have_a_case() -> None:
    without = {*FAMILIES} - {family for family, _ in classifiers()}
    assert without == {
        "bart", "bert-generation", "bigbird_pegasus", "blenderbot", "blenderbot-small", "clip_text_model", "codegen",
        "cohere", "cohere2", "cwm", "ernie4_5", "ernie4_5_moe", "exaone_moe", "flex_olmo", "fsmt", "gemma4_text",
        "glm4_moe", "glm4_moe_lite", "glm4v_text", "gpt_neox_japanese", "granite", "granitemoe", "granitemoehybrid",
        "granitemoeshared", "hyperclovax", "jais2", "lfm2", "lfm2_moe", "llama4_text", "longt5", "m2m_100", "marian",
        "mbart", "minimax_m2", "mvp", "nanochat", "olmoe", "pegasus", "plbart", "prophetnet", "qwen3_5_moe_text",
        "siglip_text_model", "solar_open", "splinter", "switch_transformers", "vaultgemma", "xglm", "youtu",
    }  # fmt: skip


@pytest.fixture(scope="module")
def moods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moods")
    return tiny.save(folder, BertForSequenceClassification(BertConfig(**SHAPE, id2label=MOODS)))


def test_padding_at_the_end_is_not_the_last_token() -> None:
    model = made("LlamaForSequenceClassification", tiny.DECODER, pad_token_id=3)  # which the tokenizer ends texts with
    att = attnviz.load((model, tokenizer())).attend(tiny.SENTENCE)
    np.testing.assert_allclose(att.prediction.logits, theirs(model, att.encoding.ids), atol=1e-5)
    other = made("LlamaForSequenceClassification", tiny.DECODER, pad_token_id=0)
    apart = attnviz.load((other, tokenizer())).attend(tiny.SENTENCE).prediction.logits - att.prediction.logits
    assert np.abs(apart).max() > 1e-3


def test_a_hosted_classifier() -> None:
    model = made("JetMoeForSequenceClassification", tiny.DECODER, kv_channels=8)
    ours = attnviz.load((model, tokenizer()))
    assert ours.backend.name == "hosted"
    att = ours.attend(tiny.SENTENCE)
    np.testing.assert_allclose(att.prediction.logits, theirs(model, att.encoding.ids), atol=1e-5)
    check = ours.check(tiny.SENTENCE)
    assert check.passed
    assert check.logits


def test_a_hosted_folder(tmp_path: Path) -> None:
    model = made("MiniMaxForTokenClassification", tiny.DECODER, layer_types=["full_attention"] * 3)
    ours = attnviz.load(tiny.save(tmp_path / "model", model))
    att = ours.attend(tiny.SENTENCE)
    assert att.backend == "hosted"
    np.testing.assert_allclose(att.prediction.logits, theirs(model, att.encoding.ids), atol=1e-5)


def test_the_check_compares_the_logits(moods: Path) -> None:
    model = attnviz.load(moods)
    att = model.attend(tiny.SENTENCE)
    found = model.check_record(att)
    assert found.passed
    assert found.logits
    assert found.logits.max_abs_diff < 1e-5
    wrong = replace(att, prediction=replace(att.prediction, logits=att.prediction.logits[::-1].copy()))
    assert not model.check_record(wrong).passed


def test_a_long_text_is_classified_too(moods: Path) -> None:
    model = attnviz.load(moods)
    observed = model.observe(tiny.SENTENCE)
    assert observed.prediction
    np.testing.assert_allclose(observed.prediction.logits, model.attend(tiny.SENTENCE).prediction.logits, atol=1e-6)


def test_a_text_in_windows_says_why_it_has_no_label(moods: Path) -> None:
    model = attnviz.load(moods)
    assert model.observe(tiny.SENTENCE, windows=True).prediction  # it fits
    found = model.observe(" ".join([tiny.SENTENCE] * 8), windows=True)
    assert found.prediction is None
    assert found.note == "no label: its classifier reads 64 tokens at once, and the text came in windows"
    console = Console(width=200, file=io.StringIO())
    console.print(next(iter(summary_parts(summarise(found), named=False))))
    assert "no label: its classifier" in console.file.getvalue()
    assert "no label: its classifier" in text_page([found])


def test_models_without_a_head_say_nothing(tmp_path: Path) -> None:
    plain = tiny.bert(tmp_path / "plain")
    assert attnviz.load(plain).attend(tiny.SENTENCE).prediction is None
    config = json.loads((plain / "config.json").read_text())
    (plain / "config.json").write_text(json.dumps(config | {"architectures": ["BertForSequenceClassification"]}))
    assert attnviz.load(plain).attend(tiny.SENTENCE).prediction is None
    assert attnviz.load(plain).check(tiny.SENTENCE).logits is None


def damaged(moods: Path, folder: Path, **tensors: torch.Tensor) -> Path:
    shutil.copytree(moods, folder)
    save_file(
        load_file(folder / "model.safetensors") | tensors, folder / "model.safetensors", metadata={"format": "pt"}
    )
    return folder


def test_a_head_that_does_not_fit_the_model(moods: Path, tmp_path: Path) -> None:
    folder = damaged(moods, tmp_path / "narrow", **{"classifier.weight": torch.zeros(3, 31)})
    with pytest.raises(ModelError, match=r"classifier.weight has the shape \(3, 31\), expected \(…, 32\)"):
        attnviz.load(folder).attend(tiny.SENTENCE)
    folder = damaged(moods, tmp_path / "nan", **{"classifier.bias": torch.full((3,), torch.nan)})
    with pytest.raises(ModelError, match="not finite"):
        attnviz.load(folder).attend(tiny.SENTENCE)


def test_more_scores_than_names(moods: Path, tmp_path: Path) -> None:
    tensors = {"classifier.weight": torch.ones(4, 32), "classifier.bias": torch.arange(4.0)}
    model = attnviz.load(damaged(moods, tmp_path / "more", **tensors))
    att = model.attend(tiny.SENTENCE)
    assert att.prediction.labels == ("NEGATIVE", "POSITIVE", "NEUTRAL", "LABEL_3")
    assert model.check_record(att).passed  # of the attention: transformers refuses such a head
    assert model.check_record(att).logits is None


@pytest.mark.parametrize("suffix", record.FORMATS)
@pytest.mark.parametrize("kind", [BertForSequenceClassification, BertForTokenClassification])
def test_records_keep_it(kind: Any, suffix: str, tmp_path: Path) -> None:
    model = attnviz.load(tiny.save(tmp_path / "model", kind(BertConfig(**SHAPE, id2label=MOODS))))
    att = model.attend(tiny.SENTENCE)
    att.save(tmp_path / f"one{suffix}")
    read = Attention.open(tmp_path / f"one{suffix}")
    assert att.prediction
    assert read.prediction
    np.testing.assert_array_equal(read.prediction.logits, att.prediction.logits)
    assert read.prediction.logits.dtype == np.float32
    assert (read.prediction.labels, read.prediction.problem) == (att.prediction.labels, att.prediction.problem)
    assert repr(read) == repr(att)


def test_padded_rows(moods: Path) -> None:
    model = attnviz.load(moods)
    alone = model.attend(tiny.SENTENCE)
    ids = [*alone.encoding.ids]
    padded = model.attend(
        input_ids=[[*ids, 0, 0], [0, 0, *ids]], attention_mask=[[1] * len(ids) + [0, 0], [0, 0] + [1] * len(ids)]
    )
    np.testing.assert_allclose(padded[0].prediction.logits, alone.prediction.logits, atol=1e-6)
    assert (
        np.abs(padded[1].prediction.logits - alone.prediction.logits).max() > 1e-4
    )  # where padding counts as positions
    with torch.inference_mode():
        bert = BertForSequenceClassification.from_pretrained(moods)
        logits = bert(
            input_ids=torch.tensor([[0, 0, *ids]]), attention_mask=torch.tensor([[0, 0] + [1] * len(ids)])
        ).logits
    np.testing.assert_allclose(padded[1].prediction.logits, logits[0].numpy(), atol=1e-5)
