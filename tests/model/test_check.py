"""The check finds mistakes, forgives rounding, compares with the model itself, and leaves no trace."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from transformers import BertForMaskedLM, BertModel, PreTrainedTokenizerFast
from transformers.utils import logging

from attnviz.attention import kernel
from attnviz.attention.window import CAUSAL, KeyWindow
from attnviz.checkpoint import open_checkpoint
from attnviz.errors import ModelError
from attnviz.interface import Model, load
from attnviz.model.backends import Options, open_backend, open_by_transformers
from attnviz.model.check import judge as check_module
from attnviz.model.check.judge import TOLERANCES, Check
from attnviz.model.hosted import Hosted, Reference
from attnviz.model.native import forward, run
from attnviz.model.native.backend import Native
from tests import tiny
from tests.model.parity import make
from tests.model.test_hosted import encoding
from tests.model.variants import all_variants

Attend = Callable[..., Tensor]
LAYERS, HEADS = 3, 4


@pytest.fixture
def damage(monkeypatch: pytest.MonkeyPatch) -> Callable[[Attend], None]:
    """Replace the kernel that the forward pass calls."""

    def put(attend: Attend) -> None:
        monkeypatch.setattr(run, "attend", attend)

    return put


def number(found: float | None) -> float:
    assert found is not None
    return found


def assert_caught(check: Check) -> None:
    """Assert that the difference is beyond tolerance in float32 and in float64, so that it is not rounding."""
    assert not check.passed
    assert check.max_abs_diff > 10 * check.tolerance
    assert check.double is not None
    assert not check.double.passed
    assert check.double.max_abs_diff == pytest.approx(check.max_abs_diff, rel=0.01)


@pytest.mark.parametrize("float64", [False, True])
def test_a_right_kernel_passes(tiny_model: Model, float64: bool) -> None:
    check = tiny_model.check(tiny.SENTENCE, float64=float64)
    assert check.passed
    assert check.max_abs_diff <= check.tolerance == (1e-10 if float64 else 1e-5)
    assert (check.dtype, check.heads, len(check.layers)) == ("float64" if float64 else "float32", 12, 3)
    assert check.double is None


def test_a_pair_is_checked_with_its_token_types(tiny_model: Model) -> None:
    assert tiny_model.check(tiny.SENTENCE, "The river.").passed


def test_a_wrong_scale_is_caught(tiny_model: Model, damage: Callable[[Attend], None]) -> None:
    damage(lambda *qkv, scale, **facts: kernel.attend(*qkv, scale=scale * 1.01, **facts))
    assert_caught(tiny_model.check(tiny.SENTENCE))


def test_two_heads_in_the_wrong_order_are_caught(tiny_model: Model, damage: Callable[[Attend], None]) -> None:
    def swapped(*qkv: Tensor, **facts: Any) -> Tensor:
        order = [1, 0, *range(2, len(qkv[0]))]
        return kernel.attend(*(tensor[order] for tensor in qkv), **facts)

    damage(swapped)
    assert_caught(tiny_model.check(tiny.SENTENCE))


def test_a_mask_that_is_off_by_one_is_caught(tmp_path: Path, damage: Callable[[Attend], None]) -> None:
    model = load(tiny.bert(tmp_path, is_decoder=True))
    assert model.check(tiny.SENTENCE).passed

    def ahead(*qkv: Tensor, window: KeyWindow, **facts: Any) -> Tensor:
        assert window == CAUSAL
        return kernel.attend(*qkv, window=KeyWindow(right=1), **facts)

    damage(ahead)
    assert_caught(model.check(tiny.SENTENCE))


def test_an_error_in_the_mixing_is_caught_by_the_next_layer(
    tiny_model: Model, damage: Callable[[Attend], None]
) -> None:
    damage(lambda *qkv, **facts: kernel.attend(*qkv, **facts) * 1.01)
    check = tiny_model.check(tiny.SENTENCE)
    assert_caught(check)
    assert number(check.layers[0].max_abs_diff) <= check.tolerance < number(check.layers[1].max_abs_diff)
    assert all(number(layer.hidden_abs_diff) > 1e-3 for layer in check.layers[:-1])
    assert check.layers[-1].hidden_abs_diff is None  # no weight depends on what leaves the last layer


@pytest.mark.parametrize(("layer", "head"), [(0, 3), (1, 0), (2, 2)])
def test_the_worst_head_is_the_damaged_one(
    layer: int, head: int, tiny_model: Model, damage: Callable[[Attend], None]
) -> None:
    """One head of one layer is shown wrongly; the input of the next layer is right."""

    def shown_wrongly(q: Tensor, *kv: Tensor, **facts: Any) -> Tensor:
        if facts["layer"] != layer:
            return kernel.attend(q, *kv, **facts)
        wrong = q.clone()
        wrong[head] *= 1.1
        kernel.attend(wrong, *kv, **facts)
        return kernel.attend(q, *kv, **(facts | {"observers": ()}))

    damage(shown_wrongly)
    check = tiny_model.check(tiny.SENTENCE)
    assert_caught(check)
    assert (check.worst.kind, check.worst.layer, check.worst.worst_head) == ("self", layer, head)
    assert check.worst == check.layers[layer]
    assert check.worst.max_abs_diff == check.max_abs_diff > number(check.worst.mean_abs_diff) > 0
    assert [found.layer for found in check.layers] == list(range(LAYERS))
    assert all(number(found.max_abs_diff) <= check.tolerance for i, found in enumerate(check.layers) if i != layer)
    assert all(number(found.hidden_abs_diff) <= 1e-4 for found in check.layers[:-1])


def test_rounding_beyond_the_tolerance_passes_by_float64(
    tiny_model: Model, damage: Callable[[Attend], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores summed in another order differ by rounding only, which vanishes in float64."""

    def rounding(q: Tensor, k: Tensor, v: Tensor, **facts: Any) -> Tensor:
        noise = 1 + 1e-7 * torch.randn(q.shape, generator=torch.Generator().manual_seed(0))
        return kernel.attend(q * noise if q.dtype is torch.float32 else q, k, v, **facts)

    damage(rounding)
    monkeypatch.setitem(TOLERANCES, torch.float32, 1e-9)
    check = tiny_model.check(tiny.SENTENCE)
    assert check.max_abs_diff > check.tolerance == 1e-9
    assert check.double is not None
    assert (check.double.dtype, check.double.passed) == ("float64", True)
    assert check.passed


def test_weights_that_are_no_numbers_never_agree(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(weights: list[Tensor], states: Tensor) -> tuple[list[Tensor], Tensor]:
        wrong = weights[1].clone()
        wrong[2, 3, 4] = torch.nan
        return [weights[0], wrong, weights[2]], states

    falsify(monkeypatch, broken)
    check = tiny_model.check(tiny.SENTENCE)
    assert not check.passed
    assert (check.worst.layer, check.worst.worst_head, check.max_abs_diff) == (1, 2, float("inf"))


def falsify(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[list[Tensor], Tensor], tuple[list[Tensor] | None, Tensor]]
) -> None:
    """Make transformers' side return what ``change`` makes of its weights and states."""
    reference = Hosted.reference

    def changed(self: Hosted, *texts: Any) -> Reference:
        weights, states = reference(self, *texts)["self"]
        assert weights is not None
        assert states is not None
        return {"self": change(weights, states)}

    monkeypatch.setattr(Hosted, "reference", changed)


def test_where_there_are_no_weights_to_compare_the_states_decide(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative to the largest state: a model with large states may differ by more."""
    falsify(monkeypatch, lambda _, states: (None, states))
    check = tiny_model.check(tiny.SENTENCE)
    assert (check.heads, check.passed) == (0, True)
    assert {(layer.max_abs_diff, layer.mean_abs_diff, layer.worst_head) for layer in check.layers} == {(None,) * 3}
    assert check.max_abs_diff <= 1e-5

    def shifted(_: list[Tensor], states: Tensor) -> tuple[None, Tensor]:
        wrong = states.clone()
        wrong[2] += 0.01 * wrong[2].abs().max()
        return None, wrong

    monkeypatch.undo()
    falsify(monkeypatch, shifted)
    check = tiny_model.check(tiny.SENTENCE)
    assert (check.heads, check.passed, check.worst.layer) == (0, False, 1)
    assert check.max_abs_diff == pytest.approx(0.01, rel=0.02)


def test_another_number_of_layers_is_an_error_and_no_comparison(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    falsify(monkeypatch, lambda weights, states: (weights[:-1], states))
    with pytest.raises(ModelError, match="transformers returns the weights of 2 layers, ours are 3"):
        tiny_model.check(tiny.SENTENCE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda weights, states: ([each[:-1] for each in weights], states),
            r"attention .*\(4, 15, 15\), .*\(3, 15, 15",
        ),
        (lambda weights, states: (weights, states[..., :-1]), r"our hidden states .* \(15, 32\), .* \(15, 31\)"),
    ],
    ids=["weights", "states"],
)
def test_another_shape_is_an_error_and_no_comparison(
    change: Any, said: str, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    falsify(monkeypatch, change)
    with pytest.raises(ModelError, match=said):
        tiny_model.check(tiny.SENTENCE)


FIRST = {family: (family, name) for family, name in reversed(all_variants())}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("family", FIRST)
def test_a_model_of_every_family_can_be_checked(family: str, dtype: torch.dtype, tmp_path: Path) -> None:
    """Also those that attend by themselves in transformers, and those whose files leave out what is computed."""
    variant = all_variants()[FIRST[family]]
    tiny.save(tmp_path, made := make(variant, torch.float32), scale=variant.scale)
    if variant.edit:
        variant.edit(made)
        made.save_pretrained(tmp_path)
    texts = [encoding(list(ids)) if ids else None for ids in (variant.ids, variant.target)]
    assert texts[0] is not None
    checkpoint = open_checkpoint(tmp_path)
    options = Options(dtype)
    assert isinstance(open_backend(checkpoint, options)[0], Native)
    check = check_module.check_encoding(checkpoint, texts[0], texts[1], options)
    assert check.passed
    assert (check.heads > 0, check.dtype) == (True, str(dtype).removeprefix("torch."))
    assert check.max_abs_diff <= check.tolerance
    kinds = {"self"} if variant.target is None else {"encoder", "decoder", "cross"}
    assert {layer.kind for layer in check.layers} == kinds


def refuse(*_: Any, **__: Any) -> Tensor:
    raise AssertionError("our kernel was called")


def test_our_side_is_our_kernel(tiny_model: Model, damage: Callable[[Attend], None]) -> None:
    damage(refuse)
    with pytest.raises(AssertionError, match="our kernel was called"):
        tiny_model.check(tiny.SENTENCE)


def test_our_side_calls_the_kernel_once_a_layer(tiny_model: Model, damage: Callable[[Attend], None]) -> None:
    layers = []

    def counted(*qkv: Tensor, **facts: Any) -> Tensor:
        layers.append(facts["layer"])
        return kernel.attend(*qkv, **facts)

    damage(counted)
    tiny_model.check(tiny.SENTENCE)
    assert layers == list(range(LAYERS))


def test_the_other_side_is_the_models_own(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    encoding = tiny_model.encode(tiny.SENTENCE)
    expected = BertModel.from_pretrained(tiny_model.checkpoint.reference, attn_implementation="eager").eval()(
        torch.tensor([encoding.ids]), output_attentions=True
    )
    monkeypatch.setattr(run, "attend", refuse)
    monkeypatch.setattr(kernel, "attend", refuse)
    monkeypatch.setattr(forward.Network, "__call__", refuse)
    theirs = check_module.Judge(tiny_model.checkpoint).of(Options(), tiny_model.backend)
    assert isinstance(theirs, Hosted)
    weights, states = theirs.reference(encoding)["self"]
    assert weights is not None
    assert states is not None
    assert torch.equal(torch.stack(weights), torch.cat(expected.attentions))
    assert torch.equal(states[-1:], expected.last_hidden_state)


@pytest.mark.parametrize("bars", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_settings_of_transformers_are_as_before(tiny_bert: Path, bars: bool, fails: bool) -> None:
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    model = load(tiny_bert)
    if fails:
        object.__setattr__(model.checkpoint, "reference", tiny_bert / "nowhere")
    try:
        logging.set_verbosity(logging.INFO)
        (logging.enable_progress_bar if bars else logging.disable_progress_bar)()
        if fails:
            with pytest.raises(ModelError, match="transformers can't load"):
                model.check(tiny.SENTENCE)
        else:
            model.check(tiny.SENTENCE)
        assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (logging.INFO, bars)
    finally:
        logging.set_verbosity(before[0])
        (logging.enable_progress_bar if before[1] else logging.disable_progress_bar)()


def test_the_check_prints_nothing(tiny_bert: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(tiny_bert).check(tiny.SENTENCE)
    assert capfd.readouterr() == ("", "")


def test_the_check_executes_no_pickle(tmp_path: Path) -> None:
    model = load(tiny.bert(tmp_path))
    backend = model.backend  # the file is mapped, and stays so
    tmp_path.joinpath("model.safetensors").unlink()
    torch.save({"pooler.dense.bias": tiny.Hostile(tmp_path / "executed")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="transformers can't load"):
        check_module.Judge(model.checkpoint).of(Options(), backend)
    assert not tmp_path.joinpath("executed").exists()


def test_the_check_asks_transformers_for_data_from_the_disk_and_never_for_code(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tested by the options, since their effect depends on transformers' version."""
    asked: dict[str, Any] = {}
    load_bert = BertModel.from_pretrained

    def loader(reference: Any, **options: Any) -> Any:
        asked.update(options)
        return load_bert(reference, **options)

    monkeypatch.setattr(transformers.BertModel, "from_pretrained", loader)
    assert tiny_model.check(tiny.SENTENCE).passed
    assert (asked["weights_only"], asked["trust_remote_code"], asked["local_files_only"]) == (True, False, True)


@pytest.fixture
def in_memory(tiny_bert: Path) -> tuple[Any, Any]:
    """Return a model and a tokenizer with settings that the check must override: SDPA, training, padding,
    truncation.
    """
    model = BertModel.from_pretrained(tiny_bert, attn_implementation="sdpa").train()
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(tiny_bert / "tokenizer.json"), pad_token="[PAD]")
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=30)
    return model, tokenizer


def test_a_model_in_memory_is_checked_and_stays_as_it_was(in_memory: tuple[Any, Any], tiny_model: Model) -> None:
    model, tokenizer = in_memory
    before = copy.deepcopy(model.state_dict())
    settings = tokenizer.backend_tokenizer.to_str()

    loaded = load(in_memory)
    attention = loaded.attend(tiny.SENTENCE)
    assert loaded.check(tiny.SENTENCE).passed
    assert loaded.check(tiny.SENTENCE, float64=True).passed

    assert (attention.weights == tiny_model.attend(tiny.SENTENCE).weights).all()
    assert model.config._attn_implementation == "sdpa"
    assert model.training
    assert model.dtype is torch.float32
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert tokenizer.backend_tokenizer.to_str() == settings


def test_a_bfloat16_model_in_memory_is_compared_in_float32(in_memory: tuple[Any, Any]) -> None:
    model, tokenizer = in_memory
    loaded = load((model.bfloat16(), tokenizer))
    check = loaded.check(tiny.SENTENCE)
    assert (check.passed, check.dtype) == (True, "float32")
    assert model.dtype is torch.bfloat16


def test_a_model_with_a_head_in_memory_is_checked(in_memory: tuple[Any, Any], tiny_bert: Path) -> None:
    model = BertForMaskedLM.from_pretrained(tiny_bert)
    assert load((model, in_memory[1])).check(tiny.SENTENCE).passed


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_model_on_a_gpu_is_attended_and_checked(in_memory: tuple[Any, Any]) -> None:
    model, tokenizer = in_memory
    loaded = load((model.cuda(), tokenizer))
    assert loaded.attend(tiny.SENTENCE).weights.shape == (LAYERS, HEADS, 15, 15)
    assert loaded.check(tiny.SENTENCE).passed
    assert model.device.type == "cuda"


@pytest.mark.real
def test_the_guards_hold_on_the_real_model(real_model: Model, damage: Callable[[Attend], None]) -> None:
    damage(lambda *qkv, scale, **facts: kernel.attend(*qkv, scale=scale * 1.01, **facts))
    assert not real_model.check(tiny.SENTENCE).passed


def test_where_eager_attention_contradicts_sdpa_the_weights_by_sdpa_decide(tmp_path: Path) -> None:
    """transformers' eager attention adds a Falcon's ALiBi twice, its SDPA once."""
    shape = {"vocab_size": len(tiny.VOCABULARY), "hidden_size": 48, "num_attention_heads": 12, "num_hidden_layers": 3}
    config = transformers.FalconConfig(**shape, alibi=True, multi_query=False, parallel_attn=False, bias=True)
    check = load(tiny.save(tmp_path, transformers.FalconForCausalLM(config))).check(tiny.SENTENCE)
    assert (check.passed, check.against, check.heads) == (True, "sdpa", 36)
    assert check.max_abs_diff <= check.tolerance


def test_a_mistake_of_ours_is_no_contradiction_of_theirs(tiny_model: Model, damage: Callable[[Attend], None]) -> None:
    damage(lambda *qkv, scale, **facts: kernel.attend(*qkv, scale=scale * 1.01, **facts))
    check = tiny_model.check(tiny.SENTENCE)
    assert (check.passed, check.against) == (False, "eager")


def test_a_judge_opens_transformers_model_once_for_many_texts(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def count(*given: Any) -> Any:
        opened.append(given)
        return open_by_transformers(*given)

    monkeypatch.setattr(check_module, "open_by_transformers", count)
    judge = check_module.Judge(tiny_model.checkpoint)
    alone = tiny_model.check("The bank.")
    found = [tiny_model.check(text, judge=judge) for text in ("The bank.", "A loan.")]
    assert len(opened) == 2
    assert found[0] == alone
