"""Choose how a transformers model is seen: hosted if it attends with our kernel, observed if it attends by itself."""

from __future__ import annotations

import contextlib

from transformers import PreTrainedModel

from attnviz.errors import AttnvizError, UnsupportedModel
from attnviz.model.hosted.model import Hosted
from attnviz.model.hosted.modifications import has_own_attention, is_published
from attnviz.model.hosted.observed import Observed
from attnviz.model.hosted.own_attention import AttendsByItself


def choose_backend(hosted: Hosted, *, unmodified: bool) -> Hosted:
    """Return ``hosted``, or an ``Observed`` backend if its model attends by itself in any layer.

    Where the model's class does not declare how it attends, a run of a few tokens shows it.

    Args:
        hosted: the loaded model.
        unmodified: whether the model is what transformers makes of its config, so that what its class declares holds.

    Raises:
        UnsupportedModel: the model attends by itself and returns no weights, or neither backend can run it.
    """
    if unmodified and _declares_interface(hosted.model):
        return hosted
    given = hosted.model_name, hosted.start, hosted.unread, hosted.classifier, hosted.labels, hosted._open_writer
    other = Observed(hosted.model, *given, hosted.language)
    if not has_own_attention(hosted.model):
        other.try_out()
        return other
    try:
        by_themselves = hosted.try_out()
    except UnsupportedModel as refused:
        try:
            other.try_out()
        except AttnvizError as error:
            raise (error if isinstance(refused, AttendsByItself) else refused) from None
        return other
    with contextlib.suppress(AttnvizError):
        if by_themselves and other.try_out() and _sees_more(other, hosted):
            return other
    return hosted


def _sees_more(one: Hosted, other: Hosted) -> bool:
    return any(len(one.numbers(kind)) > len(other.numbers(kind)) for kind in one.kinds)


def _declares_interface(model: PreTrainedModel) -> bool:
    """Whether the class of ``model``, and of each model inside, declares that it attends through the
    ``AttentionInterface``.
    """
    parts = [part for part in model.modules() if isinstance(part, PreTrainedModel)]
    return all(is_published(type(part)) and part._supports_attention_backend for part in parts)
