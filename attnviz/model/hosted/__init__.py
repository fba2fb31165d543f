"""The hosted backend: a transformers model runs with attnviz's kernel as its attention function.

It serves architectures without a family file: queries, keys and values come from the model, and observers see the same
tiles as in the native backend. Models that compute attention by themselves are observed instead.
"""

from __future__ import annotations

from attnviz.model.hosted.choice import choose_backend
from attnviz.model.hosted.growing import intervened_writer
from attnviz.model.hosted.isolation import isolated
from attnviz.model.hosted.loading import open_hosted, open_with_head, require_start
from attnviz.model.hosted.model import Hosted
from attnviz.model.hosted.modifications import find_modification
from attnviz.model.hosted.observed import Observed
from attnviz.model.hosted.own_attention import Reference
from attnviz.model.hosted.support import is_known_type, why_no_text, why_no_weights, why_not_hostable, why_unknown
from attnviz.model.hosted.tokenizer import TokenizerCheck
from attnviz.model.hosted.writer import ForcedRun, force_tokens

__all__ = [
    "ForcedRun",
    "Hosted",
    "Observed",
    "Reference",
    "TokenizerCheck",
    "choose_backend",
    "find_modification",
    "force_tokens",
    "intervened_writer",
    "is_known_type",
    "isolated",
    "open_hosted",
    "open_with_head",
    "require_start",
    "why_no_text",
    "why_no_weights",
    "why_not_hostable",
    "why_unknown",
]
