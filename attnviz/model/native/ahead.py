"""The state of which the scores of the next token are made, where that is not the last state of the text.

In ProphetNet (Qi et al. 2020) another stream predicts: a vector of its own in the place of the token that comes next.
It passes the layers as a token would, and sees the text before it, but nothing sees it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attnviz.attention.interventions import Intervention
from attnviz.model.native.forward import Network
from attnviz.model.native.run import KVCache, Run


@torch.inference_mode()
def predicting_state(
    network: Network,
    states: Tensor,
    past: KVCache,
    memory: Tensor | None = None,
    interventions: Sequence[Intervention] = (),
) -> Tensor:
    """Return the state (C,) from which the head makes the scores of the token after those that ``past`` has read.

    Args:
        network: the network.
        states: the last hidden states (T, C) of what it read last.
        past: what it has read; it stays as it is.
        memory: the encoder's output (M, C).
        interventions: what is put in the place of weights and of heads' outputs.
    """
    if not network.spec.streams:
        return states[-1]
    run = Run(1, network.device, past=past.copy(), memory=memory, interventions=interventions)
    x, table = network.placeholder(run), network.relative_table()
    for i in range(len(network.spec.layers)):
        x = network.block(i, x, run, table)
    return network.finish(x)[0]


@torch.inference_mode()
def predicting_states(
    network: Network,
    ids: Sequence[int],
    first: int,
    memory: Tensor | None = None,
    interventions: Sequence[Intervention] = (),
) -> Tensor:
    """Return the states (T − first, C) from which the head makes the scores of what follows each of the T tokens
    ``ids``, from the number ``first`` on.
    """
    past, found = KVCache(), []
    for fresh in (ids[: first + 1], *((each,) for each in ids[first + 1 :])):
        states = network(fresh, memory=memory, past=past, interventions=interventions)
        found.append(predicting_state(network, states, past, memory, interventions))
    return torch.stack(found)
