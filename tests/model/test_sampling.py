"""The check of long texts: of some rows, by transformers' own functions, without an N × M array.

The limit for long texts is lowered, so that every text is long.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers.models.bert import modeling_bert

from attnviz.attention import kernel, memory
from attnviz.attention.kernel import Kind, Observer, Tile
from attnviz.attention.observers import Weights
from attnviz.attention.window import KeyWindow
from attnviz.batch.document import Document
from attnviz.batch.engine.checking import Checker
from attnviz.batch.engine.chunk import chunks
from attnviz.batch.engine.work import Worker, WorkOptions
from attnviz.checkpoint import open_checkpoint
from attnviz.errors import InputError, ModelError
from attnviz.interface import Model, load
from attnviz.model import backends
from attnviz.model.backends import Options, open_backend, open_by_transformers, weights_size
from attnviz.model.check import drawing, sampling
from attnviz.model.check import judge as check_module
from attnviz.model.check.judge import TOLERANCES, Check, RowCounts
from attnviz.model.hosted import Hosted, attention_call, masks
from attnviz.model.hosted.masks import LazyMask
from attnviz.model.native import forward
from attnviz.model.native import run as run_module
from tests import tiny
from tests.model.test_hosted import CASES, ENCODER_DECODERS, encoding

LENGTH, WRITTEN, DRAWN = 200, 150, 9
IDS = [int(i) for i in torch.randint(5, 50, (LENGTH,), generator=torch.Generator().manual_seed(1))]
TARGET = IDS[::-1][:WRITTEN]
SHAPE = CASES["llama with grouped queries"].config | {"max_position_embeddings": 256}
BART = ENCODER_DECODERS["bart"].config | {"max_position_embeddings": 256}

MODELS: dict[str, tuple[str, dict[str, Any], float]] = {
    "bert": ("BertModel", dict(SHAPE), 0.18),
    "llama": ("LlamaModel", dict(SHAPE), 0.3),
    "mistral": ("MistralModel", SHAPE | {"sliding_window": 50, "head_dim": 8}, 0.3),
    "gemma 2": (
        "Gemma2Model",
        SHAPE | {"head_dim": 8, "attn_logit_softcapping": 2.0, "sliding_window": 60},
        0.3,
    ),
    "gpt-oss": (
        "GptOssModel",
        SHAPE | {"num_local_experts": 4, "head_dim": 8, "sliding_window": 50, "intermediate_size": 12},
        0.3,
    ),
    "t5": ("T5Model", dict(ENCODER_DECODERS["t5"].config), 0.2),
    "bart": ("BartModel", BART, 0.18),
}


@tiny.made_once
def folder(path: Path, name: str) -> Path:
    kind, config, scale = MODELS[name]
    model = getattr(transformers, kind)
    return tiny.save(path, model(model.config_class(**config)), scale=scale)


def run(path: Path, options: Options | None = None, progress: Any = None) -> Check:
    checkpoint = open_checkpoint(path)
    target = encoding(TARGET) if checkpoint.config.get("is_encoder_decoder") else None
    return check_module.check_encoding(checkpoint, encoding(IDS), target, options, progress=progress)


@pytest.fixture(autouse=True)
def everything_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_module, "MAX_KEPT_BYTES", 0)
    monkeypatch.setattr(backends, "MAX_KEPT_BYTES", 0)
    monkeypatch.setattr(drawing, "ROWS", DRAWN)


@pytest.fixture
def damage(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Replace the kernel in both backends; the function gets the right one."""
    right = kernel.attend

    def put(wrong: Any) -> None:
        def attend(*qkv: Tensor, **facts: Any) -> Any:
            return wrong(right, *qkv, **facts)

        monkeypatch.setattr(run_module, "attend", attend)
        monkeypatch.setattr(kernel, "attend", attend)

    return put


@pytest.mark.parametrize("name", MODELS)
def test_a_right_kernel_passes(name: str, tmp_path: Path) -> None:
    check = run(folder(tmp_path, name))
    assert check.passed
    assert (check.double, check.against) == (None, "eager")
    two = name in ("t5", "bart")
    expected = {"self": RowCounts(DRAWN, LENGTH)}
    if two:
        expected = {"encoder": RowCounts(DRAWN, LENGTH)} | dict.fromkeys(
            ("decoder", "cross"), RowCounts(DRAWN, WRITTEN)
        )
    assert check.rows == expected
    backend = open_backend(open_checkpoint(tmp_path), Options())[0]
    assert check.heads == 4 * len(check.layers) == (28 if name == "bart" else sum(backend.heads.values()))
    stack = "decoder" if two else "self"
    last = [layer for layer in check.layers if layer.kind == stack][-1]
    assert [layer for layer in check.layers if layer.hidden_abs_diff is not None] == [last]
    assert last.hidden_abs_diff is not None
    assert last.hidden_abs_diff < 1e-3


def one_head(right: Any, q: Tensor, *kv: Tensor, **facts: Any) -> Any:
    """Show head 2 of layer 1 wrongly; the input of the next layer is right."""
    if facts["layer"] != 1:
        return right(q, *kv, **facts)
    wrong = q.clone()
    wrong[2] *= 1.1
    right(wrong, *kv, **facts)
    return right(q, *kv, **(facts | {"observers": ()}))


def scale(right: Any, *qkv: Tensor, scale: float, **facts: Any) -> Any:
    return right(*qkv, scale=scale * 1.01, **facts)


def mixing(right: Any, *qkv: Tensor, **facts: Any) -> Any:
    context = right(*qkv, **facts)
    context[0] *= 1.1
    return context


class _FarRow(Observer):
    """Shows the weights of the last query of layer 1 shifted by one key."""

    def __init__(self, observers: Any) -> None:
        self.observers = observers

    def tile(self, tile: Tile) -> None:
        weights = tile.weights.clone()
        if tile.layer == 1 and tile.query + weights.shape[1] == tile.shape[1]:
            weights[:, -1] = weights[:, -1].roll(1, -1)
        for observer in self.observers:
            observer.tile(dataclasses.replace(tile, weights=weights))


def far_row(right: Any, *qkv: Tensor, observers: Any = (), **facts: Any) -> Any:
    return right(*qkv, observers=[_FarRow(observers)] if observers else (), **facts)


@pytest.mark.parametrize("mistake", [one_head, scale, mixing, far_row], ids=lambda mistake: str(mistake.__name__))
@pytest.mark.parametrize("name", MODELS)
def test_mistakes_are_caught(name: str, mistake: Any, tmp_path: Path, damage: Callable[[Any], None]) -> None:
    damage(mistake)
    check = run(folder(tmp_path, name))
    assert not check.passed
    assert check.max_abs_diff > 3 * check.tolerance
    assert check.double is not None
    assert check.double.rows == check.rows
    assert check.double.max_abs_diff == pytest.approx(check.max_abs_diff, rel=0.05)
    if mistake is one_head:
        assert (check.worst.layer, check.worst.worst_head) == (1, 2)


@pytest.mark.parametrize(
    ("name", "side"), [("mistral", "left"), ("mistral", "right"), ("gemma 2", "left"), ("gpt-oss", "left")]
)
def test_a_mask_that_is_off_by_one_is_caught(
    name: str, side: str, tmp_path: Path, damage: Callable[[Any], None]
) -> None:
    def off(right: Any, *qkv: Tensor, window: KeyWindow, **facts: Any) -> Any:
        far = getattr(window, side)
        return right(*qkv, window=window if far is None else dataclasses.replace(window, **{side: far + 1}), **facts)

    damage(off)
    assert not run(folder(tmp_path, name)).passed


def test_a_mask_that_is_read_wrongly_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the hosted backend our reading of transformers' masks is checked too: the other side does not use it."""
    see = masks.visibility_of_rows

    def wrong(*facts: Any) -> masks.Visibility:
        found = see(*facts)
        assert found.window is not None
        if found.window.left is None:
            return found  # the short run that finds how the model attends: no window is as short
        return dataclasses.replace(found, window=dataclasses.replace(found.window, left=found.window.left + 1))

    monkeypatch.setattr("attnviz.model.backends.hosted_reason", lambda _: "a test")
    assert run(folder(tmp_path, "gpt-oss")).passed
    monkeypatch.setattr(masks, "visibility_of_rows", wrong)
    assert not run(folder(tmp_path, "gpt-oss")).passed


class _Largest(TorchDispatchMode):
    """Records the shape of the largest tensor of numbers or booleans that is made; tensors of bytes come from files."""

    shape: tuple[int, ...] = (0,)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if not isinstance(each, Tensor) or isinstance(each, LazyMask) or each.dtype is torch.uint8:
                continue
            # Of a tensor that is expanded, no more than what is in memory counts.
            if 0 not in each.stride() and each.numel() > self.numel:
                self.shape = tuple(each.shape)
        return made

    @property
    def numel(self) -> int:
        return torch.Size(self.shape).numel()


@pytest.mark.parametrize("name", [name for name in MODELS if name != "t5"])
def test_nobody_makes_an_array_of_all_queries_and_keys(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Except for T5, whose position biases are such an array."""
    for module, constant in ((kernel, "TILE"), (attention_call, "_TILE"), (masks, "_TILE")):
        monkeypatch.setattr(module, constant, 4 * LENGTH * DRAWN)
    path, smallest = folder(tmp_path, name), WRITTEN if name == "bart" else LENGTH
    with _Largest() as largest:
        assert run(path).passed
    assert 4 * LENGTH * DRAWN <= largest.numel < smallest * smallest, largest.shape
    monkeypatch.setattr(check_module, "MAX_KEPT_BYTES", 1 << 28)
    with _Largest() as largest:
        run(path)
    assert largest.numel >= 4 * LENGTH * LENGTH


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("our kernel was called")


@pytest.mark.parametrize("name", MODELS)
def test_the_other_side_is_the_models_own(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = open_by_transformers(open_checkpoint(folder(tmp_path, name)), Options())
    target = encoding(TARGET) if "cross" in judge.kinds else None
    drawn = drawing.draw_queries(judge, encoding(IDS), target)
    expected = judge.reference(encoding(IDS), target)
    found: dict[tuple[Kind, int], Tensor] = {}

    def see(kind: Kind, number: int, rows: Tensor | None) -> None:
        assert rows is not None
        found[kind, number] = rows

    monkeypatch.setattr(run_module, "attend", refuse)
    monkeypatch.setattr(kernel, "attend", refuse)
    monkeypatch.setattr(forward.Network, "__call__", refuse)
    monkeypatch.setattr(masks, "visibility_of_rows", refuse)
    last, contradicts = judge.sampled(encoding(IDS), drawn, see, target)
    assert not contradicts
    for kind, (weights, states) in expected.items():
        assert weights is not None
        assert len(weights) == len([place for place in found if place[0] == kind])
        for number, whole in enumerate(weights):
            torch.testing.assert_close(found[kind, number], whole[:, drawn[kind]], atol=1e-5, rtol=0)
        if kind in ("self", "decoder"):
            assert states is not None
            torch.testing.assert_close(last, states[-1], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["bert", "gpt-oss"])
def test_our_side_is_our_kernel(name: str, tmp_path: Path, damage: Callable[[Any], None]) -> None:
    damage(refuse)
    with pytest.raises(AssertionError, match="our kernel was called"):
        run(folder(tmp_path, name))


def test_rounding_beyond_the_tolerance_passes_by_float64(
    tmp_path: Path, damage: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rounding(right: Any, q: Tensor, *kv: Tensor, **facts: Any) -> Any:
        noise = 1 + 1e-7 * torch.randn(q.shape, generator=torch.Generator().manual_seed(0))
        return right(q * noise if q.dtype is torch.float32 else q, *kv, **facts)

    damage(rounding)
    monkeypatch.setitem(TOLERANCES, torch.float32, 1e-9)
    check = run(folder(tmp_path, "llama"))
    assert check.max_abs_diff > check.tolerance
    assert check.double is not None
    assert (check.double.dtype, check.double.passed, check.passed) == ("float64", True, True)


def test_where_eager_attention_contradicts_sdpa_the_last_states_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Any], None]
) -> None:
    own = modeling_bert.eager_attention_forward
    monkeypatch.setattr(
        modeling_bert,
        "eager_attention_forward",
        lambda *tensors, scaling, **facts: own(*tensors, scaling=scaling * 2, **facts),
    )
    native = {name: value for name, value in SHAPE.items() if name != "num_key_value_heads"}  # hosted, it is observed
    path = tiny.save(tmp_path / "native", transformers.BertModel(transformers.BertConfig(**native)), scale=0.18)
    check = run(path)
    assert (check.passed, check.against, check.heads) == (True, "sdpa", 0)
    assert (check.worst.hidden_abs_diff is not None, check.rows) == (True, {"self": RowCounts(DRAWN, LENGTH)})
    damage(scale)
    check = run(path)
    assert (check.passed, check.against) == (False, "sdpa")


def test_a_mistake_of_ours_is_no_contradiction_of_theirs(tmp_path: Path, damage: Callable[[Any], None]) -> None:
    damage(scale)
    assert run(folder(tmp_path, "bert")).against == "eager"


FALCON = {"vocab_size": len(tiny.VOCABULARY), "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2}


def test_a_model_that_attends_by_itself_is_compared_as_a_whole_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny.save(tmp_path, transformers.FalconModel(transformers.FalconConfig(**FALCON)))
    check = run(path)
    assert (check.passed, check.rows, check.heads) == (True, {"self": RowCounts(LENGTH, LENGTH)}, 8)
    monkeypatch.setattr(memory, "free_memory", lambda *_: 1000)
    with pytest.raises(
        InputError, match=r"falcon does not attend through .*, so that all weights must .* would take .*B"
    ) as error:
        run(path)
    assert "without the check" in error.value.hint


def test_position_biases_that_do_not_fit_are_foreseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(tmp_path, "t5")
    monkeypatch.setattr(sampling, "free_memory", lambda: 3 * 4 * 4 * LENGTH * LENGTH)
    assert run(path).passed
    monkeypatch.setattr(sampling, "free_memory", lambda: 3 * 4 * 4 * LENGTH * LENGTH - 1)
    with pytest.raises(
        InputError, match=rf"^the text has {LENGTH} tokens: the position biases, .* would take .*, and .* are free"
    ):
        run(path)


def test_the_same_rows_are_drawn_each_time_the_first_and_the_last_among_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = open_backend(open_checkpoint(folder(tmp_path, "bart")), Options())[0]
    texts = encoding(IDS), encoding(TARGET[:DRAWN])
    drawn, again = (drawing.draw_queries(backend, *texts) for _ in range(2))
    assert drawn.keys() == {"encoder", "decoder", "cross"}
    for kind, rows in drawn.items():
        assert torch.equal(rows, again[kind])
        assert torch.equal(rows, rows.unique())
        assert len(rows) == DRAWN
    assert drawn["encoder"][[0, -1]].tolist() == [0, LENGTH - 1]
    assert drawn["cross"].tolist() == drawn["decoder"].tolist() == list(range(DRAWN))
    monkeypatch.setattr(drawing, "ROOM", 1)
    assert len(drawing.draw_queries(backend, *texts)["encoder"]) == drawing.FEWEST < DRAWN


def test_another_number_of_layers_is_an_error_and_no_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, own = folder(tmp_path, "bert"), Hosted.sampled

    def without(wanted: int) -> Any:
        def sample(self: Hosted, texts: Any, rows: Any, see: Any, target: Any) -> Any:
            return own(self, texts, rows, lambda *place: None if place[1] == wanted else see(*place), target)

        return sample

    monkeypatch.setattr(Hosted, "sampled", without(2))
    with pytest.raises(ModelError, match="attends in 3 layers, ours are 4"):
        run(path)


def test_progress_is_told(tmp_path: Path) -> None:
    on_progress: list[tuple[int, int]] = []
    run(folder(tmp_path, "llama"), progress=lambda *done: on_progress.append(done))
    assert on_progress == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("name", MODELS)
def test_what_is_long_is_known_before(name: str, tmp_path: Path) -> None:
    """Exactly for native models; the configs of hosted models only give the encoder's layers."""
    checkpoint = open_checkpoint(folder(tmp_path, name))
    target = encoding(TARGET) if "decoder" in (kinds := open_backend(checkpoint, Options())[0].kinds) else None
    for backend in (open_backend(checkpoint, Options())[0], open_by_transformers(checkpoint, Options())):
        weights = Weights()
        backend.run(encoding(IDS), [weights], target)
        size = 4 * sum(weights.stacked(kind).numel() for kind in kinds)
        found = weights_size(backend, encoding(IDS), target)
        assert found >= size if isinstance(backend, Hosted) else found == size


def test_a_short_text_is_compared_in_all_rows(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (check_module, backends):
        monkeypatch.setattr(module, "MAX_KEPT_BYTES", 4 * 12 * 15 * 15)
    assert tiny_model.check(tiny.SENTENCE).rows == {"self": RowCounts(15, 15)}
    for module in (check_module, backends):
        monkeypatch.setattr(module, "MAX_KEPT_BYTES", 4 * 12 * 15 * 15 - 1)
    assert tiny_model.check(tiny.SENTENCE).rows == {"self": RowCounts(DRAWN, 15)}


def test_a_survey_that_kept_nothing_for_its_check_says_so(tiny_model: Model) -> None:
    with pytest.raises(InputError, match="made without evidence"):
        tiny_model.check_record(tiny_model.observe(tiny.SENTENCE, evidence=False))


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_each_map_of_an_encoder_decoder_is_checked(tiny_t5: Path, kind: Any) -> None:
    model = load(tiny_t5)
    check = model.check_record(model.observe(tiny.SENTENCE, None, "the bank had it", map=kind))
    assert check.passed
    assert {layer.kind for layer in check.layers} == {kind}
    assert check.recomputed
    assert check.recomputed.heads == check.recomputed.total == (12 if kind == "encoder" else 8)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_what_a_survey_shows_in_half_precision_is_judged_by_what_rounding_does_there(
    tiny_llama: Path, dtype: str
) -> None:
    model = load(tiny_llama, dtype=dtype)
    observation = model.observe(tiny.SENTENCE * 3)
    check = model.check_record(observation)
    assert check.passed
    assert check.double
    assert check.recomputed
    # What bfloat16 rounds moves the entropies of this model by a quarter of themselves in transformers too.
    entropy = observation.figures["entropy"] * (1.5 if dtype == "float16" else 3)
    wrong = dataclasses.replace(observation, figures={**observation.figures, "entropy": entropy})
    assert not model.check_record(wrong).passed


@pytest.mark.parametrize("wrong", ["eager contradicts SDPA", "eager gives no weights"])
def test_a_survey_is_held_to_sdpa_where_eager_attention_is_no_judge(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    own = modeling_bert.eager_attention_forward

    def eager(*tensors: Any, scaling: float, **facts: Any) -> Any:
        if wrong == "eager contradicts SDPA":
            return own(*tensors, scaling=scaling * 2, **facts)
        return own(*tensors, scaling=scaling, **facts)[0], None

    monkeypatch.setattr(modeling_bert, "eager_attention_forward", eager)
    observation = tiny_model.observe(tiny.SENTENCE)
    check = tiny_model.check_record(observation)
    assert (check.passed, check.against, check.heads, check.rerun) == (True, "sdpa", 12, False)
    assert check.recomputed
    assert check.recomputed.heads == 12
    spoiled = dataclasses.replace(observation, received=observation.received * 1.01)
    assert not tiny_model.check_record(spoiled).passed


def test_a_model_that_attends_by_itself_and_contradicts_its_sdpa_is_held_to_that(tmp_path: Path) -> None:
    """transformers' eager attention adds a Falcon's ALiBi twice, its SDPA once."""
    config = transformers.FalconConfig(**FALCON, alibi=True, multi_query=False, bias=True)
    model = load(tiny.save(tmp_path, transformers.FalconForCausalLM(config)))
    observation = model.observe(tiny.SENTENCE)
    check = model.check_record(observation)
    assert (check.passed, check.against) == (True, "sdpa")
    entropy = observation.figures["entropy"] * 1.01
    assert not model.check_record(
        dataclasses.replace(observation, figures={**observation.figures, "entropy": entropy})
    ).passed
    worker = Worker(model, WorkOptions())
    chunk = next(iter(chunks([Document(0, "a.txt", 1, tiny.SENTENCE)], 1)))
    verdict = Checker(worker, "all").check(worker.measure(chunk, worker.encode(chunk)))
    assert verdict
    assert verdict.passed


def test_in_float32_a_head_of_a_survey_may_be_off_by_what_rounding_moves_that_head(tiny_model: Model) -> None:
    observation = tiny_model.observe(tiny.SENTENCE)
    assert observation.evidence
    for rows in observation.evidence.rows:
        rows.weights[1][2] *= 1 + 2e-4
    check = tiny_model.check_record(observation)
    assert not check.passed
    assert check.rounding
    assert (check.rounding.layer, check.rounding.head, check.rounding.explains) == (1, 2, False)
