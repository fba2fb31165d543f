"""MVP (Tang et al. 2023) without its prompts: a BART."""

from __future__ import annotations

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import bart
from attnviz.model.families.bart import NAMES, PREFIX

__all__ = ["NAMES", "PREFIX"]

DEFAULTS = {"mvp": {"vocab_size": 50267}}


def spec(config: Config) -> Spec:
    """The facts of an MVP."""
    config.expect("use_prompt", False)
    config.ignore("prompt_length", "prompt_mid_dim")
    return bart.spec(config)
