"""GPT BigCode, as StarCoder (Li et al. 2023): a GPT-2 in which all heads may share one key-value head."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import both, gpt2, names_without
from attnviz.model.families.gpt2 import ATTRIBUTES, PREFIX

__all__ = ["ATTRIBUTES", "PREFIX"]

NAMES = {
    **names_without(gpt2.NAMES, ".c_"),
    **both("h.{}.attn.c_attn", "layers.{}.attention.groups"),
    **both("h.{}.attn.c_proj", "layers.{}.attention.output"),
    **both("h.{}.mlp.c_fc", "layers.{}.mlp.up"),
    **both("h.{}.mlp.c_proj", "layers.{}.mlp.down"),
}

DEFAULTS = {"gpt_bigcode": {"activation_function": "gelu_pytorch_tanh"}}


def spec(config: Config) -> Spec:
    """The facts of a GPT BigCode; absent attributes have the values of transformers' ``GPTBigCodeConfig``."""
    config.ignore(
        "attention_softmax_in_fp32", "scale_attention_softmax_in_fp32",  # ours is float32 at least
        "inference_runner", "max_batch_size", "max_sequence_length", "pad_key_length", "pre_allocate_kv_cache",
        "validate_runner_input",
    )  # fmt: skip
    found = gpt2.spec(config)
    heads = found.first.heads
    shared = 1 if config.flag("multi_query", True) else heads
    config.only("num_key_value_heads", shared)
    return found.with_attentions(lambda attention: replace(attention, kv_heads=shared))
