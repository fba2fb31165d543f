"""The native way: a checkpoint's family, spec and tensors become a network of ours, and a text runs through it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attnviz.checkpoint import Checkpoint
from attnviz.encoding import Encoding
from attnviz.errors import InputError, ModelError
from attnviz.model import weights
from attnviz.model.families import find_family
from attnviz.model.forward import Network
from attnviz.model.kernel import Observer


def open_network(checkpoint: Checkpoint, dtype: torch.dtype = torch.float32) -> Network:
    """Our network of ``checkpoint``, in ``dtype``.

    Raises:
        UnsupportedModel: no family file expresses the config exactly.
        ModelError: the config or the tensors are damaged.
    """
    try:
        family = find_family(checkpoint.config)
        spec = family.spec(checkpoint.config)
        return Network(spec, weights.take(family, spec, checkpoint.tensors, dtype))
    except ModelError as error:
        error.message = f"{checkpoint.name}: {error.message}"
        raise


def run(network: Network, encoding: Encoding, observers: Sequence[Observer]) -> Tensor:
    """Run one input and return the last hidden states (T, C).

    Raises:
        InputError: an id of the tokenizer has no row in the model's vocabulary.
        ModelError: the result is not finite; the message names the tensors that hold NaN.
    """
    embedding = network.spec.embedding
    if max(encoding.ids) >= embedding.vocabulary:
        word = encoding.tokens[encoding.ids.index(max(encoding.ids))]
        raise ModelError(
            f"the tokenizer gives {word!r} the id {max(encoding.ids)}, the model's vocabulary ends at "
            f"{embedding.vocabulary - 1}: they do not belong together"
        )
    if embedding.types and max(encoding.type_ids) >= embedding.types:
        raise InputError(f"the model has {embedding.types} token type only: it takes no pair")
    states = network(encoding.ids, encoding.type_ids, observers)
    if not torch.isfinite(states).all():
        damaged = weights.not_finite(network.tensors)
        where = f": {', '.join(damaged[:3])}" if damaged else ", though its tensors are finite: it overflows"
        raise ModelError(f"the model's weights give NaN{where}", hint="The checkpoint is damaged: download it again.")
    return states
