"""Requirements of all backends for an input before it runs, and for its result."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from attnviz.encoding import Encoding
from attnviz.errors import AttnvizError, InputError, ModelError, short

NO_HEAD = "What can be measured instead: attnviz ablate, how the last hidden states change without a head."
"""What to do with a model that predicts no tokens."""
BESIDE = "its tokens are predicted by another stream, which reads that of the text: the weights shown are not its"
"""Why what is measured of the stream of the text adds to no logit."""
OF_THE_TEXT = "the stream of the text: those that predict are left out"
"""What a reader must know of the weights of such a model."""


def require_fit(encoding: Encoding, vocabulary: int, types: int) -> None:
    """Raise if an id is not below ``vocabulary``, or a token type not below ``types`` (0 allows any).

    Raises:
        ModelError: the tokenizer and the model do not belong together.
        InputError: the model takes no pair.
    """
    largest = max(encoding.ids)
    if largest >= vocabulary:
        word = encoding.tokens[encoding.ids.index(largest)]
        raise ModelError(
            f"the tokenizer gives {word!r} the id {largest}, the model's vocabulary ends at {vocabulary - 1}: "
            "they do not belong together"
        )
    if types and max(encoding.type_ids) >= types:
        raise InputError(f"the model has {types} token type only: it takes no pair")


def require_token(name: str, value: object, vocabulary: int | None) -> int:
    """Return ``value``, which a config gives as the token ``name``, if it is below ``vocabulary`` (None for no limit).

    Raises:
        ModelError: it is not a token id.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 31:
        raise ModelError(f"{name} is {short(value)}, expected the number of a token")
    if vocabulary is not None and value >= vocabulary:
        raise ModelError(f"{name} is {value:,}, and the model's vocabulary ends at {vocabulary - 1:,}")
    return value


def as_error(error: Exception) -> AttnvizError:
    """Turn an exception of torch or the machine, raised for one text, into an attnviz error."""
    return error if isinstance(error, AttnvizError) else ModelError(f"the model can't run this text ({error})")


def require_finite(states: Tensor, tensors: Mapping[str, Tensor]) -> None:
    """Raise if ``states`` are not finite; the message names the ``tensors`` that are not either."""
    if not torch.isfinite(states).all():
        raise not_finite(tensors)


def not_finite(tensors: Mapping[str, Tensor]) -> ModelError:
    """Return the error for a result that is not finite; the message names the ``tensors`` that are not either."""
    damaged = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    where = f": {', '.join(damaged[:3])}" if damaged else ", though its tensors are finite: it overflows"
    return ModelError(f"the model's weights give NaN{where}", hint="The checkpoint is damaged: download it again.")
