"""Open a checkpoint natively: its family, spec and tensors make a network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from attnviz.checkpoint import Checkpoint
from attnviz.errors import ModelError
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import Family, find_family
from attnviz.model.inputs import require_token
from attnviz.model.labels import Labels
from attnviz.model.native import weights
from attnviz.model.native.backend import Native
from attnviz.model.native.classifier import take_classifier
from attnviz.model.native.forward import Network
from attnviz.model.native.language_head import LanguageHead


def open_native(checkpoint: Checkpoint, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Native:
    """Build the network of ``checkpoint``, in ``dtype`` and on ``device``.

    Raises:
        UnsupportedModel: no family file expresses the config exactly.
        ModelError: the config or the tensors are damaged.
    """
    family, spec = read_spec(checkpoint)
    with naming(checkpoint):
        unread = weights.find_unread(family, spec, checkpoint.tensors)
        network = Network(spec, weights.take_tensors(family, spec, checkpoint.tensors, dtype, device))
        start = checkpoint.generation.get("decoder_start_token_id")
        for token in (spec.start, start) if spec.encoder else ():
            if token is not None:
                require_token("decoder_start_token_id", token, spec.embedding.vocabulary)
        classifier = take_classifier(family, spec, checkpoint, dtype, device)
        labels = Labels.of(checkpoint) if classifier else None

    def take_head() -> LanguageHead:
        with naming(checkpoint):
            return weights.take_head(family, spec, checkpoint.tensors, dtype, device)

    return Native(network, start, unread, classifier, labels, take_head)


def read_spec(checkpoint: Checkpoint) -> tuple[Family, Spec]:
    """Return the family of ``checkpoint`` and the spec of its config.

    Raises:
        UnsupportedModel: no family file expresses the config exactly.
        ModelError: the config is damaged.
    """
    with naming(checkpoint):
        family = find_family(checkpoint.config)
        return family, family.spec(checkpoint.config)


@contextlib.contextmanager
def naming(checkpoint: Checkpoint) -> Iterator[None]:
    """Prepend the checkpoint's name to the message of a ``ModelError`` raised inside the block."""
    try:
        yield
    except ModelError as error:
        if not error.message.startswith(f"{checkpoint.name}: "):
            error.message = f"{checkpoint.name}: {error.message}"
        raise
