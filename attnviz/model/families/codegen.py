"""CodeGen (Nijkamp et al. 2023): a GPT-J whose queries, keys and values are stored in quarters of the heads."""

from __future__ import annotations

from attnviz.errors import ModelError
from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import gptj, names_without
from attnviz.model.families.gptj import ATTRIBUTES, PREFIX

__all__ = ["ATTRIBUTES", "PREFIX", "spec"]

NAMES = {
    **names_without(gptj.NAMES, "q_proj", "k_proj", "v_proj"),
    "h.{}.attn.qkv_proj.weight": "layers.{}.attention.quarters.weight",
}


def spec(config: Config) -> Spec:
    """The facts of a CodeGen; absent attributes have the values of transformers' ``CodeGenConfig``."""
    found = gptj.spec(config)
    heads = found.first.heads
    if heads % 4:
        raise ModelError(f"config.json: n_head is {heads}, expected a multiple of 4, in which the heads are stored")
    return found
