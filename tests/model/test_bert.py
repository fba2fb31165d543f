"""BERT from files: random ones of many shapes and spellings, and the real default model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel

from attnviz.checkpoint import open_checkpoint
from attnviz.errors import InputError
from attnviz.interface import Model, load
from attnviz.model.hosted.precision import precision
from attnviz.model.native.backend import Native
from attnviz.model.native.opening import open_native
from tests import tiny
from tests.analysis.whole import in_words
from tests.model.parity import DTYPES, assert_same, assert_telling, ours, theirs

SHAPES: dict[str, dict[str, Any]] = {
    "usual": {},
    "one head": {"num_attention_heads": 1, "hidden_size": 12, "seed": 1},
    "two heads, one layer": {"num_attention_heads": 2, "num_hidden_layers": 1},
    "twelve heads": {"num_attention_heads": 12, "hidden_size": 48},
    "odd sizes": {"num_attention_heads": 3, "hidden_size": 21, "intermediate_size": 37, "max_position_embeddings": 31},
    "one token type": {"type_vocab_size": 1},
    "five token types": {"type_vocab_size": 5},
    "relu": {"hidden_act": "relu"},
    "gelu_new": {"hidden_act": "gelu_new"},
    "silu": {"hidden_act": "silu"},
    "large eps": {"layer_norm_eps": 0.1},
    "causal": {"is_decoder": True},
}
PAIR = "The river bank was strong."


def assert_parity(folder: Path, dtype: torch.dtype, text: str, pair: str | None = None, *, telling: bool = True) -> int:
    """Assert that every layer, head and state of ``text`` agrees; return the number of tokens."""
    encoding = load(folder).encode(text, pair)
    with precision(dtype):
        model = BertModel.from_pretrained(folder, attn_implementation="eager", dtype=dtype).eval()
        expected = theirs(model, encoding.ids, encoding.type_ids)
    network = open_native(open_checkpoint(folder), dtype).network
    assert_same(ours(network, encoding.ids, encoding.type_ids), expected, dtype)
    if telling:
        assert_telling(expected[0])
    return len(encoding)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_against_transformers(shape: dict[str, Any], dtype: torch.dtype, tmp_path: Path) -> None:
    assert_parity(tiny.telling_bert(tmp_path, **shape), dtype, tiny.SENTENCE)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [{}, {"is_decoder": True}], ids=["both ways", "causal"])
def test_a_pair_against_transformers(shape: dict[str, Any], dtype: torch.dtype, tmp_path: Path) -> None:
    folder = tiny.telling_bert(tmp_path, **shape)
    assert 1 in load(folder).encode(tiny.SENTENCE, PAIR).type_ids
    assert_parity(folder, dtype, tiny.SENTENCE, PAIR)


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_word_against_transformers(tiny_bert: Path, dtype: torch.dtype) -> None:
    assert assert_parity(tiny_bert, dtype, "bank", telling=False) == 3


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_longest_text_that_fits_against_transformers(tmp_path: Path, dtype: torch.dtype) -> None:
    text = "the strong bank loan had a company , because it approved the river . " * 4 + "the bank - of financial loan"
    folder = tiny.telling_bert(tmp_path)
    assert assert_parity(folder, dtype, text) == 64
    with pytest.raises(InputError, match="65 tokens, the model takes 64"):
        load(folder).attend(f"{text} .")


def test_token_types_count(tiny_model: Model) -> None:
    """The same tokens as one text and as a pair differ only in their types, and so do the weights."""
    assert isinstance(tiny_model.backend, Native)
    network = tiny_model.backend.network
    encoding = tiny_model.encode("the bank", "the loan")
    alone, paired = (ours(network, encoding.ids, types)[0] for types in ([0] * len(encoding), encoding.type_ids))
    assert float((alone - paired).abs().max()) > 0.01


def test_a_model_with_one_token_type_takes_no_pair(tmp_path: Path) -> None:
    model = load(tiny.bert(tmp_path, type_vocab_size=1))
    with pytest.raises(InputError, match="no pair"):
        model.attend(tiny.SENTENCE, PAIR)


def test_a_causal_bert_says_so_and_sees_nothing_ahead(tmp_path: Path) -> None:
    attention = load(tiny.bert(tmp_path, is_decoder=True)).attend(tiny.SENTENCE)
    ahead = torch.ones(len(attention.tokens), len(attention.tokens)).triu(1).bool().numpy()
    assert attention.causal
    assert (attention.weights[..., ahead] == 0).all()
    assert (attention.weights[..., ~ahead] > 0).all()


def prefixed(head: Callable[[BertConfig], torch.nn.Module]) -> Callable[[Path, Path], None]:
    """Save the model of ``plain`` with a head: its names begin with ``bert.``."""

    def save(plain: Path, folder: Path) -> None:
        model: Any = head(BertConfig.from_pretrained(plain))
        model.bert.load_state_dict(BertModel.from_pretrained(plain).state_dict(), strict=False)
        model.save_pretrained(folder)
        assert any(name.startswith("bert.") for name in load_file(folder / "model.safetensors"))

    return save


def renamed(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Callable[[Path, Path], None]:
    """Save the tensors of ``plain`` as ``change`` gives them."""

    def save(plain: Path, folder: Path) -> None:
        folder.joinpath("config.json").write_bytes(plain.joinpath("config.json").read_bytes())
        tensors = load_file(plain / "model.safetensors")
        changed = change(tensors)
        assert changed.keys() != tensors.keys()
        save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})

    return save


def gamma_and_beta(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    spelled = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors.items()
    }
    assert sum(name.endswith("gamma") for name in spelled) == 7
    return spelled


def with_extras(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Add the tensors that heads and older versions of transformers saved beside the encoder."""
    assert "pooler.dense.weight" in tensors
    return tensors | {
        "embeddings.position_ids": torch.arange(64)[None],
        "cls.predictions.bias": torch.zeros(3),
        "cls.predictions.transform.LayerNorm.gamma": torch.full((3,), torch.nan),
    }


def without_pooler(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in tensors.items() if "pooler" not in name}


def old(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename tensors as in the first checkpoints: a prefix, gamma and beta, and a head's own norm."""
    return {f"bert.{name}": tensor for name, tensor in gamma_and_beta(tensors).items()} | {
        "cls.predictions.transform.LayerNorm.gamma": torch.ones(32)
    }


def sharded(plain: Path, folder: Path) -> None:
    BertModel.from_pretrained(plain).save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    assert not (folder / "model.safetensors").exists()


SAVED: dict[str, Callable[[Path, Path], None]] = {
    "with a language head": prefixed(BertForMaskedLM),
    "with a classifier": prefixed(BertForSequenceClassification),
    "with gamma and beta": renamed(gamma_and_beta),
    "with extra tensors": renamed(with_extras),
    "without a pooler": renamed(without_pooler),
    "with prefix, gamma and beta": renamed(old),
    "in shards": sharded,
}


@pytest.mark.parametrize("save", SAVED.values(), ids=SAVED.keys())
def test_a_checkpoint_of_another_spelling_is_the_same_model(
    save: Callable[[Path, Path], None], tiny_bert: Path, tiny_model: Model, tmp_path: Path
) -> None:
    save(tiny_bert, tmp_path)
    tiny.wordpiece().save(str(tmp_path / "tokenizer.json"))
    other = load(tmp_path)
    assert (other.attend(tiny.SENTENCE).weights == tiny_model.attend(tiny.SENTENCE).weights).all()
    assert other.check(tiny.SENTENCE).passed  # transformers reads it as we do


SAMPLES = Path(__file__).parents[2] / "samples"
SENTENCES = dict.fromkeys(
    [tiny.SENTENCE]
    + [line.strip() for path in sorted(SAMPLES.glob("*.txt")) for line in path.read_text("utf-8").splitlines()]
)


@pytest.mark.real
@pytest.mark.parametrize("sentence", [sentence for sentence in SENTENCES if sentence])
def test_the_real_model_agrees_with_transformers(real_model: Model, sentence: str) -> None:
    check = real_model.check(sentence)
    assert check.heads == 72
    assert check.max_abs_diff <= 1e-5
    assert all(layer.hidden_abs_diff is not None and layer.hidden_abs_diff <= 1e-4 for layer in check.layers[:-1])


@pytest.mark.real
@pytest.mark.parametrize(("layer", "head", "weight"), [(5, 7, 0.46), (0, 0, 0.35)])
def test_the_bank_looks_at_the_loan(real_model: Model, layer: int, head: int, weight: float) -> None:
    units = in_words(real_model.attend(tiny.SENTENCE))
    bank, loan = units.queries.labels.index("bank"), units.keys.labels.index("loan")
    assert units.weights[layer, head, bank, loan] == pytest.approx(weight, abs=0.01)
