"""Find out whether a checkpoint can be hosted by running a few tokens without its numbers."""

from __future__ import annotations

import importlib.util

from attnviz.checkpoint import Checkpoint
from attnviz.encoding import Encoding, Word
from attnviz.errors import UnsupportedModel
from attnviz.model.hosted.loading import open_hosted, require_start
from attnviz.model.hosted.model import Hosted

_TOKENS = (1, 2, 1, 2)


def dry_run(checkpoint: Checkpoint) -> Hosted | None:
    """Load ``checkpoint`` as for hosting, and run it once with an attention function that computes nothing.

    If accelerate is installed, only the shapes of the tensors are loaded, and nothing is computed.

    Returns:
        The model, if it can be hosted; None if only a real run can tell how it runs.

    Raises:
        ModelError: it can't be loaded.
    """
    device = "meta" if importlib.util.find_spec("accelerate") and not checkpoint.gguf else None
    hosted = open_hosted(checkpoint, None, device)
    require_start(checkpoint, hosted)
    words = tuple(Word(str(number), i, i + 1) for i, number in enumerate(_TOKENS))
    spelt, plain = tuple(map(str, _TOKENS)), (False,) * len(_TOKENS)
    text = Encoding("", None, _TOKENS, (0,) * len(_TOKENS), spelt, plain, words)
    try:
        hosted.dry_run(text, text if "cross" in hosted.kinds else None)
    except UnsupportedModel:
        return None
    return hosted
