"""What models that attend by themselves hand in becomes queries × keys: windows, blocks, buckets and pooled tokens.

Each matrix is compared with what the model computed with its weights: times the values it is the model's own context.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor

import attnviz
from attnviz.analysis.corpus.alone import heads_of
from attnviz.analysis.text.observing import is_causal
from attnviz.attention.kernel import Kind
from attnviz.attention.observers import Weights
from attnviz.model.hosted.layouts import place, spread
from attnviz.model.hosted.observed import Observed
from tests import tiny
from tests.model.test_hosted import IDS, LENGTH, TARGET, encoding
from tests.model.tiny_configs import SIZES


@dataclass(frozen=True)
class Case:
    """A model of the class ``name``, and where its values and contexts are.

    Args:
        config: beside the tiny sizes.
        values: a pattern of the names of what makes the values.
        context: a pattern of the names of what gives the contexts first, or, with ``taken``, of what takes them.
        kind: which map.
        apart: how far from the model's own contexts what we make of its weights may be, as a part of them.
    """

    name: str
    config: Mapping[str, Any]
    values: str
    context: str
    kind: Kind = "self"
    taken: bool = False
    apart: float = 1e-4

    def model(self) -> Any:
        kind = getattr(transformers, self.name)
        sizes = {name: size for name, size in SIZES.items() if name in kind.config_class().to_dict()}
        model = kind(kind.config_class(**(sizes | dict(self.config)))).eval()
        tiny.randomise(model, scale=0.3)
        return model


_REFORMER = {"axial_pos_shape": [8, 8], "axial_pos_embds_dim": [16, 16], "attention_head_size": 8, "hash_seed": 0}
_REFORMER |= {"local_attn_chunk_length": 4, "lsh_attn_chunk_length": 4, "num_hashes": 1, "num_buckets": 4}
CASES = {
    "longformer, windows": Case(
        "LongformerModel", {"attention_window": [4, 8]}, r"attention\.self\.value$", r"attention\.self$"
    ),
    "longformer, a window that holds the text": Case(
        "LongformerModel", {"attention_window": 64}, r"attention\.self\.value$", r"attention\.self$"
    ),
    "led, windows": Case(
        "LEDModel",
        {"attention_window": [4, 8], "max_encoder_position_embeddings": 64, "max_decoder_position_embeddings": 64},
        r"longformer_self_attn\.value$",
        r"longformer_self_attn$",
        "encoder",
    ),
    "big bird, blocks": Case(
        "BigBirdModel",
        {"block_size": 2, "num_random_blocks": 2},
        r"attention\.self\.value$", r"attention\.output\.dense$",
        taken=True,
    ),
    "big bird, a short text": Case(
        "BigBirdModel", {"block_size": 64}, r"attention\.self\.value$", r"attention\.output\.dense$", taken=True
    ),
    "big bird with all keys": Case(
        "BigBirdModel", {"attention_type": "original_full"}, r"attention\.self\.value$", r"attention\.self$"
    ),
    "bigbird pegasus, blocks": Case(
        "BigBirdPegasusModel",
        {"block_size": 2, "num_random_blocks": 1},
        r"encoder.*self_attn\.self\.value$",
        r"encoder.*self_attn\.self$",
        "encoder",
    ),
    "canine, characters in chunks": Case(
        "CanineModel",
        {"local_transformer_stride": 8},
        r"initial_char_encoder.*self\.value$",
        r"initial_char_encoder.*attention\.self$",
    ),
    "reformer, chunks": Case(
        "ReformerModel", {**_REFORMER, "attn_layers": ["local"] * 2}, r"self_attention\.value$", r"self_attention$"
    ),
    "reformer, chunks that look back and ahead": Case(
        "ReformerModel",
        {**_REFORMER, "attn_layers": ["local"] * 2, "local_num_chunks_before": 2, "local_num_chunks_after": 1},
        r"self_attention\.value$",
        r"self_attention$",
    ),
    "reformer, buckets": Case(
        "ReformerModel", {**_REFORMER, "attn_layers": ["lsh"] * 2}, r"self_attention\.value$", r"self_attention$"
    ),
    "reformer, buckets by several hashes": Case(
        "ReformerModel",
        {**_REFORMER, "attn_layers": ["lsh"] * 2, "num_hashes": 3},
        r"self_attention\.value$",
        r"self_attention$",
    ),
    "reformer, several hashes, chunks before and after": Case(
        "ReformerModel",
        {**_REFORMER, "attn_layers": ["lsh"] * 2, "num_hashes": 2}
        | {"lsh_num_chunks_before": 2, "lsh_num_chunks_after": 1},
        r"self_attention\.value$",
        r"self_attention$",
    ),
    "reformer, several hashes, a decoder": Case(
        "ReformerModel",
        {**_REFORMER, "attn_layers": ["lsh"] * 2, "num_hashes": 4, "is_decoder": True},
        r"self_attention\.value$",
        r"self_attention$",
        apart=5e-3,  # its first token sees itself by a score of −10⁵, and float32 rounds the weight
    ),
    "reformer, a decoder": Case(
        "ReformerModel",
        {**_REFORMER, "attn_layers": ["lsh", "local"], "is_decoder": True},
        r"self_attention\.value$",
        r"self_attention$",
    ),
    "longt5, blocks": Case(
        "LongT5Model", {"local_radius": 3}, r"encoder.*LocalSelfAttention\.v$", r"encoder.*LocalSelfAttention\.o$",
        "encoder", taken=True,
    ),
    "prophetnet's scores": Case(
        "ProphetNetModel", {}, r"encoder.*self_attn\.value_proj$", r"encoder.*self_attn\.out_proj$", "encoder",
        taken=True,
    ),
    "prophetnet, the stream of the text": Case(
        "ProphetNetModel", {}, r"decoder.*self_attn\.value_proj$", r"decoder.*self_attn\.out_proj$", "decoder",
        taken=True,
    ),
}  # fmt: skip


def watched(model: Any, pattern: str, *, taken: bool) -> list[list[Tensor]]:
    """What each module of the pattern gives first, or is given, call by call."""
    found: list[list[Tensor]] = []
    for name, module in model.named_modules():
        if re.search(pattern, name):
            calls: list[Tensor] = []
            found.append(calls)

            def keep(_: Any, given: Any, output: Any, calls: list[Tensor] = calls) -> None:
                first = given[0] if taken else output if isinstance(output, Tensor) else output[0]
                calls.append(first.detach().clone())

            module.register_forward_hook(keep)
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_matrix_times_the_values_is_the_models_context(name: str) -> None:
    case = CASES[name]
    model = case.model()
    mine = Observed(model, "tiny", 0)
    target = None if mine.kinds == ("self",) else encoding(TARGET)
    mine.run(encoding(IDS), (), target)  # what is kept below is of one run alone
    values = watched(model, case.values, taken=False)
    contexts = watched(model, case.context, taken=case.taken)
    kept = Weights()
    mine.run(encoding(IDS), [kept], target)
    weights = kept.stacked(case.kind)[: len(values)]  # (L, H, N, N)
    count = weights.shape[-1]
    assert len(values) == len(contexts) == len(weights) > 0
    for layer, each in enumerate(weights):
        assert len(each) == 4
        flat = torch.cat([call.flatten(0, -2) for call in values[layer]])[:count]  # (N, C)
        expected = torch.cat([call.flatten(0, -2) for call in contexts[layer]])[:count]
        got = each @ flat.view(count, 4, -1).transpose(0, 1)  # (H, N, D)
        torch.testing.assert_close(got.transpose(0, 1).flatten(1), expected, atol=1e-5, rtol=case.apart)
    if "t5" not in name:
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]), atol=1e-5, rtol=0)


def seen(name: str) -> Tensor:
    kept = Weights()
    Observed(CASES[name].model(), "tiny", 0).run(encoding(IDS), [kept])
    return kept.stacked()


def test_windows_are_zero_beyond() -> None:
    weights, apart = seen("longformer, windows"), (torch.arange(LENGTH)[:, None] - torch.arange(LENGTH)).abs()
    for layer, reach in enumerate((2, 4)):
        assert bool((weights[layer][:, apart > reach] == 0).all())
        assert bool((weights[layer][:, apart <= reach] > 0).all())
    assert bool((seen("longformer, a window that holds the text") > 0).all())


def test_a_token_is_seen_by_as_many_as_share_a_bucket_with_it_in_any_round() -> None:
    once, often = seen("reformer, buckets"), seen("reformer, buckets by several hashes")
    assert bool(((often > 0).sum(-1) >= (once > 0).sum(-1)).float().mean() > 0.9)
    assert float((often > 0).float().mean()) > float((once > 0).float().mean())


def test_buckets_are_not_the_chunks_of_the_text() -> None:
    local, sorted_ = seen("reformer, chunks"), seen("reformer, buckets")
    assert float((local > 0).float().mean()) < 0.5
    assert bool(((sorted_ > 0) != (local > 0)).any())
    assert bool((seen("reformer, a decoder").triu(1) == 0).all())


def test_blocks_are_placed_as_loops_place_them() -> None:
    blocks = torch.rand(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    for key, query, around in ((-2, 0, None), (0, -1, None), (-3, 0, 12), (4, 2, None)):
        expected = torch.zeros(2, 10, 9)
        for block in range(4):
            for row in range(3):
                for column in range(5):
                    at, to = 3 * block + row + query, 3 * block + column + query + key
                    to = to if around is None else to % around
                    if 0 <= at < 10 and 0 <= to < 9:
                        expected[:, at, to] += blocks[:, block, row, column]
        assert torch.equal(place(blocks, (10, 9), key=key, query=query, around=around), expected)


def test_pooled_keys_share_their_weight() -> None:
    pooled = torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]]])
    found = spread(pooled, [[0], [1, 2], [3]], torch.tensor([0, 1, 1, 2, -1]), 5)
    expected = [[0.5, 0.15, 0.15, 0.2, 0], [0.1, 0.3, 0.3, 0.3, 0], [0.1, 0.3, 0.3, 0.3, 0], [0.2, 0.1, 0.1, 0.6, 0]]
    torch.testing.assert_close(found[0, :4], torch.tensor(expected))
    assert bool((found[0, 4] == 0).all())


FUNNEL = {"block_sizes": [1, 2], "num_decoder_layers": 1, "d_head": 8, "d_inner": 48, "n_head": 4}


@pytest.mark.parametrize("truncate", [True, False])
@pytest.mark.parametrize("pool_q_only", [True, False])
def test_funnel_pools_all_tokens_but_the_first(*, pool_q_only: bool, truncate: bool) -> None:
    config = FUNNEL | {"pool_q_only": pool_q_only, "truncate_seq": truncate}
    model = Case("FunnelModel", config, "", "").model()
    kept = Weights()
    Observed(model, "tiny").run(encoding(IDS), [kept])
    with torch.inference_mode():
        given = model(torch.tensor([IDS]), output_attentions=True).attentions
    weights = kept.stacked()
    assert torch.equal(weights[0], given[0][0])
    assert torch.equal(weights[3], given[3][0])  # the decoder's
    last = 22 if truncate else 23  # tokens that are pooled
    owner = [0, *((1 + (token - 1) // 2) for token in range(1, last))]
    for layer in (1, 2):
        rows = given[layer][0]
        pooled = rows.shape[-1] < LENGTH
        assert pooled is (layer == 2 or not pool_q_only)
        for query in range(last):
            for key in range(last if pooled else LENGTH):
                share = 1 / owner.count(owner[key]) if pooled else 1
                expected = rows[:, owner[query], owner[key] if pooled else key] * share
                torch.testing.assert_close(weights[layer][:, query, key], expected)
        assert bool((weights[layer][:, last:] == 0).all())


def test_canine_pools_characters_to_molecules() -> None:
    model = Case("CanineModel", {"downsampling_rate": 4}, "", "").model()
    kept = Weights()
    Observed(model, "tiny").run(encoding(IDS), [kept])
    with torch.inference_mode():
        given = model(torch.tensor([IDS]), output_attentions=True).attentions
    molecules, found = given[1][0], kept.stacked()[1]
    assert molecules.shape[-1] == 5  # 23 characters: the first, and four of the five groups of four
    for query in range(LENGTH):
        row = molecules[:, 0 if query == 0 else min(1 + query // 4, 4)]
        for key in range(LENGTH):
            expected = row[:, 1 + key // 4] / 4 if key < 16 else torch.zeros(4)
            torch.testing.assert_close(found[:, query, key], expected + (row[:, 0] if key == 0 else 0))
    torch.testing.assert_close(found.sum(-1), torch.ones(4, LENGTH))


@pytest.mark.parametrize("stagger", [True, False])
def test_pegasus_x_sees_its_block(*, stagger: bool) -> None:
    config = {"block_size": 6, "num_global_tokens": 3, "stagger_local_blocks": stagger}
    model = Case("PegasusXModel", config, "", "").model()
    kept = Weights()
    Observed(model, "tiny", 0).run(encoding(IDS), [kept], encoding(TARGET))
    with torch.inference_mode():
        given = model(torch.tensor([IDS]), decoder_input_ids=torch.tensor([TARGET]), output_attentions=True)
    for layer, weights in enumerate(kept.stacked("encoder")):
        local = given.encoder_attentions[layer]["local"][0]  # (H, B, 6, 3 + 6)
        moved = 3 if stagger and layer == 1 else 0
        for query in range(LENGTH):
            block, row = divmod(query + moved, 6)
            for key in range(LENGTH):
                inside = (key + moved) // 6 == block
                expected = local[:, block, row, 3 + (key + moved) % 6] if inside else torch.zeros(4)
                torch.testing.assert_close(weights[:, query, key], expected)
        assert bool((weights.sum(-1) < 1).all())


def test_the_head_of_a_classifier_says_which_token_sees_all(tmp_path: Path) -> None:
    model = Case("LongformerForSequenceClassification", {"attention_window": 4}, "", "").model()
    folder = tiny.save(tmp_path / "model", model)
    mine = attnviz.load(folder)
    found = mine.attend(tiny.SENTENCE)
    assert found.prediction is not None
    ids = torch.tensor([found.encoding.ids])
    values = watched(model, r"attention\.self\.value(_global)?$", taken=False)
    contexts = watched(model, r"attention\.self$", taken=False)
    with torch.inference_mode():
        model(ids)
    count = len(found.tokens)
    for layer, weights in enumerate(torch.from_numpy(found.weights)):
        for rows, at in ((slice(1, None), 0), (slice(0, 1), 1)):
            each = values[2 * layer + at][0].flatten(0, -2)[:count].view(count, 4, -1).transpose(0, 1)
            got = (weights[:, rows] @ each).transpose(0, 1).flatten(1)
            torch.testing.assert_close(got, contexts[layer][0][0, :count][rows], atol=1e-5, rtol=1e-4)
    assert bool((found.weights[:, :, :, 0] > 0).all())
    np.testing.assert_allclose(found.weights.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_a_few_tokens_show_what_the_model_is(name: str) -> None:
    """One token would not: a text of one sees no later key, and pooled tokens or buckets need several."""
    model = Observed(CASES[name].model(), "a model", start=3)
    expected = {kind: ("decoder" in name and kind == "self") or kind == "decoder" for kind in model.kinds}
    assert {kind: is_causal(model, kind) for kind in model.kinds} == expected
    heads = heads_of(model, tiny.wordpiece())
    assert [*heads] == [*model.numbers(model.kinds[0])]
    assert {*heads.values()} == {4}
