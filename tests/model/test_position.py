"""Position encodings compared with the corresponding functions of transformers."""

from __future__ import annotations

import pytest
import torch
from transformers import GPTNeoXConfig, LlamaConfig
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.deberta_v2.modeling_deberta_v2 import build_relative_position
from transformers.models.gpt_neox import modeling_gpt_neox as neox
from transformers.models.gptj import modeling_gptj as gptj
from transformers.models.llama import modeling_llama as llama
from transformers.models.t5.modeling_t5 import T5Attention

from attnviz.model.architecture import position
from attnviz.model.architecture.position import relative_bias
from attnviz.model.architecture.spec import ALiBi, Disentangled, RelativeBuckets, Rotary
from attnviz.model.hosted.precision import precision
from tests.model.parity import DTYPES, TOLERANCES

HEADS, N, D = 3, 40, 12


def queries(dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(HEADS, N, D, generator=torch.Generator().manual_seed(5), dtype=dtype)


def rotate(x: torch.Tensor, rotary: Rotary) -> torch.Tensor:
    return position.apply_rotary(x, rotary, *position.rotary_factors(rotary, torch.arange(x.shape[1]), x.dtype))


def assert_close(mine: torch.Tensor, other: torch.Tensor) -> None:
    assert mine.dtype == other.dtype
    torch.testing.assert_close(mine, other, rtol=0, atol=TOLERANCES[mine.dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("theta", [10_000.0, 500_000.0])
def test_rotary_is_that_of_llama(dtype: torch.dtype, theta: float) -> None:
    x = queries(dtype)
    config = LlamaConfig(
        hidden_size=HEADS * D,
        num_attention_heads=HEADS,
        rope_parameters={"rope_type": "default", "rope_theta": theta},
    )
    with precision(dtype):
        cos, sin = llama.LlamaRotaryEmbedding(config)(x[None], torch.arange(N)[None])
        expected = llama.apply_rotary_pos_emb(x[None], x[None], cos, sin)[0][0]
    assert_close(rotate(x, Rotary(theta=theta, size=D)), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [6, 12])
def test_partial_rotary_is_that_of_gpt_neox(dtype: torch.dtype, size: int) -> None:
    x = queries(dtype)
    config = GPTNeoXConfig(
        hidden_size=HEADS * D,
        num_attention_heads=HEADS,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": size / D},
    )
    with precision(dtype):
        cos, sin = neox.GPTNeoXRotaryEmbedding(config)(x[None], torch.arange(N)[None])
        assert cos.shape[-1] == size
        expected = neox.apply_rotary_pos_emb(x[None], x[None], cos, sin)[0][0]
    assert_close(rotate(x, Rotary(theta=10_000.0, size=size)), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [4, 12])
def test_interleaved_rotary_is_that_of_gpt_j(dtype: torch.dtype, size: int) -> None:
    x = queries(dtype)
    with precision(dtype):
        sin, cos = gptj.create_sinusoidal_positions(N, size)[None].to(dtype).chunk(2, dim=-1)
        turned = gptj.apply_rotary_pos_emb(x[None, ..., :size].transpose(1, 2), sin, cos).transpose(1, 2)[0]
    expected = torch.cat((turned, x[..., size:]), dim=-1)
    assert_close(rotate(x, Rotary(theta=10_000.0, size=size, interleaved=True)), expected)


def test_the_first_position_is_not_turned_and_what_is_beyond_the_size_never() -> None:
    x = queries(torch.float32)
    turned = rotate(x, Rotary(theta=10_000.0, size=8))
    assert torch.equal(turned[:, 0], x[:, 0])
    assert torch.equal(turned[..., 8:], x[..., 8:])
    assert not torch.allclose(turned[:, 1:, :8], x[:, 1:, :8], atol=0.1)


def test_bfloat16_is_turned_by_float32_angles() -> None:
    x = queries(torch.float32).bfloat16()
    turned = rotate(x, Rotary(theta=10_000.0, size=D))
    assert turned.dtype == torch.bfloat16
    assert torch.equal(turned, rotate(x.float(), Rotary(theta=10_000.0, size=D)).bfloat16())


@pytest.mark.parametrize("heads", [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 32, 71, 112])
def test_alibi_is_that_of_bloom(heads: int) -> None:
    with precision(torch.float64):
        theirs = build_alibi_tensor(torch.ones(1, N, dtype=torch.long), heads, torch.float64)  # (H, 1, N)
    positions = torch.arange(N)
    mine = position.alibi_bias(heads, ALiBi())(positions, positions)  # (H, N, N)
    # BLOOM adds slope · key, which is the same to a softmax: only differences within a row count.
    apart = (mine - mine[..., :1]) - theirs
    behind = positions[:, None] >= positions[None, :]
    assert float(apart[:, behind].abs().max()) < 1e-12


def test_alibi_takes_off_as_much_ahead_as_behind() -> None:
    positions = torch.arange(9)
    bias = position.alibi_bias(6, ALiBi())(positions, positions)
    assert torch.equal(bias, bias.transpose(1, 2))
    assert float(bias.max()) == 0.0
    assert bool((bias[:, 0].diff(dim=-1) < 0).all())


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("buckets", "farthest"), [(32, 128), (32, 200), (16, 20), (8, 64)])
def test_relative_buckets_are_those_of_t5(buckets: int, farthest: int, bidirectional: bool) -> None:
    positions = torch.arange(300)
    numbers = torch.arange(buckets)[:, None] * torch.tensor([1, -1])  # two heads: the bucket's number and its negative
    mine = relative_bias(numbers, RelativeBuckets(buckets, farthest, bidirectional))(positions, positions)
    expected = T5Attention._relative_position_bucket(
        positions[None, :] - positions[:, None],
        bidirectional=bidirectional,
        num_buckets=buckets,
        max_distance=farthest,
    )
    assert torch.equal(mine[0], expected)
    assert torch.equal(mine[1], -expected)
    assert len(expected.unique()) >= buckets - 1  # bucket 0 ahead is never used


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("span", "farthest"), [(256, 512), (32, 128), (6, 12), (40, None)])
def test_disentangled_positions_are_those_of_deberta_v2(span: int, farthest: int | None, dtype: torch.dtype) -> None:
    at = torch.arange(600)
    rows = torch.arange(2 * span, dtype=dtype)[None, :, None]  # one head: the number of the row
    spec = Disentangled(span, farthest, content_to_position=True, position_to_content=False, shared=False, norm=None)
    mine = position.disentangled_bias(torch.ones(1, 600, 1, dtype=dtype), rows, None, rows, spec, 1.0)(at, at)
    with precision(dtype):
        buckets = build_relative_position(at[:, None], at[:, None], span if farthest else -1, farthest or span)
    assert torch.equal(mine, (buckets + span).clamp(0, 2 * span - 1).to(dtype))


def test_a_tile_of_a_bias_is_a_part_of_the_whole() -> None:
    table = torch.randn(16, 5, generator=torch.Generator().manual_seed(2))
    positions = torch.arange(30)
    for bias in (position.alibi_bias(5, ALiBi()), relative_bias(table, RelativeBuckets(16, 20, bidirectional=True))):
        whole, part = bias(positions, positions), bias(positions[7:12], positions[3:21])
        assert torch.equal(part, whole[:, 7:12, 3:21])
