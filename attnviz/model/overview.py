"""Describe how attnviz would run a checkpoint, and why, for ``attnviz models``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from attnviz.checkpoint import Checkpoint
from attnviz.errors import ModelError, UnsupportedModel, few
from attnviz.model import families
from attnviz.model.architecture.description import TIED, describe
from attnviz.model.backends import Options, hosted_reason, open_backend, require_runnable
from attnviz.model.cost import estimates as cost
from attnviz.model.cost import said
from attnviz.model.cost.estimates import ModelShape
from attnviz.model.native import weights
from attnviz.model.native.backend import Native
from attnviz.model.native.opening import naming, read_spec
from attnviz.model.towers import TOWERS

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted


@dataclass(frozen=True)
class Overview:
    """How a checkpoint is run.

    Args:
        name: the checkpoint's name.
        model_type: its model type.
        backend: the backend that runs it.
        reason: why it is not native.
        facts: what the model is made of, by name, in words.
    """

    name: str
    model_type: str
    backend: Literal["native", "hosted", "observed", "not at all"]
    reason: str
    facts: Mapping[str, str]


def overview(checkpoint: Checkpoint, options: Options | None = None) -> Overview:
    """Describe how ``checkpoint`` would be run.

    Raises:
        ModelError: its config is damaged, or its tensors do not match it.
    """
    kind = str(checkpoint.config.get("model_type"))
    reason = hosted_reason(checkpoint)
    if not reason:
        family, spec = read_spec(checkpoint)
        facts = describe(spec)
        if kind in TOWERS:
            facts = {"part": f"the text model, {family.name}: texts alone, without pictures or sound"} | facts
        if "head" in facts and _is_tied(family, checkpoint):
            facts["head"] = TIED
        with naming(checkpoint):
            unread = weights.find_unread(family, spec, checkpoint.tensors)
        if unread:
            facts["not read"] = few(unread, 10)
        return Overview(checkpoint.name, kind, "native", "a family file expresses all of its config", facts)
    facts = _from_config(checkpoint)
    try:
        backend, unused = _hosted_overview(checkpoint, options or Options())
    except UnsupportedModel as error:
        against = error.message.removeprefix(f"{checkpoint.name}: ")
        near = error.hint.partition("What attnviz")[0] if error.hint.startswith("Did you mean") else ""
        return Overview(checkpoint.name, kind, "not at all", f"{against}. {near}".strip(), facts)
    return Overview(checkpoint.name, kind, backend, reason, facts | unused)


def _hosted_overview(
    checkpoint: Checkpoint, options: Options
) -> tuple[Literal["native", "hosted", "observed"], dict[str, str]]:
    """Return the backend of a checkpoint that transformers runs, and the fact of which tensors it does not use."""
    require_runnable(checkpoint, options, hosted_reason(checkpoint))
    found: Native | Hosted | None = None
    if not options.trust_remote_code:
        from attnviz.model.hosted import why_not_hostable
        from attnviz.model.hosted.dry_run import dry_run

        found = None if why_not_hostable(checkpoint.config) else dry_run(checkpoint)
    if found is None:  # only running it can tell
        found = open_backend(checkpoint, options)[0]
    facts = {
        "weights": found.layout_note,
        "language": found.read_as,
        "not read": few(found.unread, 10) if found.unread else "",
    }
    return found.name, {name: words for name, words in facts.items() if words}


def _is_tied(family: families.Family, checkpoint: Checkpoint) -> bool:
    """Whether the head uses the token vectors because the checkpoint has no other (T5, whose configs do not say so)."""
    stored = {family.plain(name) for name in checkpoint.shapes()}
    found = [ours for theirs, ours in family.names.items() if "head.weight" in ours and theirs in stored]
    return bool(found) and "embed.tokens.weight" in found[0]


def checkpoint_shape(checkpoint: Checkpoint) -> ModelShape:
    """Return the sizes on which the cost of ``checkpoint`` depends; for a hosted model as far as its config says.

    Raises:
        ModelError: its config is damaged, or does not say how many layers and heads there are.
    """
    if not hosted_reason(checkpoint):
        return cost.model_shape(read_spec(checkpoint)[1])
    lacking = said.missing(checkpoint.config)
    if lacking:
        raise ModelError(f"{checkpoint.name}: config.json does not say its number of {' and '.join(lacking)}")
    return said.said_shape(checkpoint.config, checkpoint.shapes())


def _from_config(checkpoint: Checkpoint) -> dict[str, str]:
    """Return the facts that a config gives for a model that no family file reads."""
    count = sum(math.prod(size) for size in checkpoint.shapes().values())
    return said.said_facts(checkpoint.config) | ({"parameters": f"{count:,}"} if count else {})
