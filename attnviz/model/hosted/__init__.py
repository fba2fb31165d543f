"""The hosted way: a transformers model runs, and its attention is our kernel.

It serves every architecture without a family file: queries, keys and values come from the model, the observers see
the same tiles as in the native way.
"""

from __future__ import annotations

from attnviz.model.hosted.isolation import undisturbed
from attnviz.model.hosted.loading import open_hosted, open_writer, require_start
from attnviz.model.hosted.model import Hosted, Reference
from attnviz.model.hosted.modifications import changed
from attnviz.model.hosted.observed import Observed, settle
from attnviz.model.hosted.support import hostable, hostable_types, known
from attnviz.model.hosted.tokenizer import Reader
from attnviz.model.hosted.writer import Followed, follow

__all__ = [
    "Followed",
    "Hosted",
    "Observed",
    "Reader",
    "Reference",
    "changed",
    "follow",
    "hostable",
    "hostable_types",
    "known",
    "open_hosted",
    "open_writer",
    "require_start",
    "settle",
    "undisturbed",
]
