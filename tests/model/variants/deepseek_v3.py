from __future__ import annotations

from typing import Any

import torch

from tests.model.variants import Variant
from tests.model.variants.deepseek_v2 import LATENT, YARN


def correct(model: torch.nn.Module) -> None:
    """Give the correction of each expert a value that changes which are chosen."""
    generator = torch.Generator().manual_seed(1)
    for name, buffer in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator, dtype=torch.float32))


def deepseek_v3(model: str = "DeepseekV3Model", **config: Any) -> Variant:
    return Variant(model, LATENT | {"n_group": 1, "topk_group": 1} | config, edit=correct)


VARIANTS = {
    "queries from a vector": deepseek_v3(),
    "queries as ever, large values": deepseek_v3(q_lora_rank=None, v_head_dim=16),
    "groups of experts": deepseek_v3(n_group=3, topk_group=2, n_routed_experts=9, num_experts_per_tok=3),
    "shares as they are, halves paired": deepseek_v3(norm_topk_prob=False, rope_interleave=False),
    "biases, no dense layer": deepseek_v3(attention_bias=True, first_k_dense_replace=0),
    "yarn rotary, which scales the scores": deepseek_v3(rope_parameters=YARN),
    "with a head": deepseek_v3("DeepseekV3ForCausalLM"),
    "with a tied head": deepseek_v3("DeepseekV3ForCausalLM", tie_word_embeddings=True),
}
