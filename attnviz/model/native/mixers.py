"""What mixes the tokens of a layer in the place of attention, computed from its tensors."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from attnviz.model.architecture.activations import ACTIVATIONS
from attnviz.model.architecture.spec import GatedDelta, Mixer, ShortConvolution
from attnviz.model.native.parts import Parts
from attnviz.model.native.recurrence import causal_convolution, delta_rule
from attnviz.model.native.run import Run, State


class Mixers(Parts):
    """Computes mixers; each is named ``at`` as in ``tensor_shapes``."""

    def _mixer(self, at: str, spec: Mixer, run: Run, x: Tensor) -> Tensor:
        """What a mixer makes of the states ``x`` (T, C) of a ``run``."""
        match spec:
            case GatedDelta():
                return self._delta(at, spec, run, x)
            case ShortConvolution():
                before, after, value = (self._linear(f"{at}.{name}", x) for name in ("before", "after", "value"))
                return self._linear(
                    f"{at}.output", after * run.mixed(at, partial(self._convolution, at), before * value)
                )

    def _convolution(self, at: str, before: State, x: Tensor) -> tuple[Tensor, State]:
        """The convolution of a mixer, of texts (B, n, C) of which some tokens came ``before``."""
        names = (f"{at}.convolution.weight", f"{at}.convolution.bias")
        weight, bias = self.tensors[names[0]], self.tensors.get(names[1])
        found, tail = causal_convolution(x, weight, bias, before[0] if before else None)
        return found, (tail,)

    def _delta(self, at: str, spec: GatedDelta, run: Run, x: Tensor) -> Tensor:
        exact = torch.promote_types(x.dtype, torch.float32)
        read = torch.cat([self._linear(f"{at}.{name}", x) for name in ("query", "key", "value")], -1)
        rate = spec.rate * self._linear(f"{at}.rate", x).sigmoid()
        wait = functional.linear(x, self.tensors[f"{at}.decay.weight"]).to(exact) + self.tensors[f"{at}.decay.bias"]
        decay = -self.tensors[f"{at}.decay.factor"].to(exact).exp() * functional.softplus(wait)
        given = run.mixed(at, partial(self._states, at, spec), read, decay, rate)  # (T, H, E)
        gate = torch.unflatten(self._linear(f"{at}.gate", x), -1, (spec.heads, -1))
        given = self._norm(f"{at}.norm", spec.norm, given) * ACTIVATIONS[spec.activation](gate.to(exact))
        return self._linear(f"{at}.output", given.to(x.dtype).flatten(1))

    def _states(
        self, at: str, spec: GatedDelta, before: State, read: Tensor, decay: Tensor, rate: Tensor
    ) -> tuple[Tensor, State]:
        """What the heads of a mixer give, (B, n, H, E), of texts of which some tokens came ``before``."""
        read, (tail,) = self._convolution(at, before, read)
        read = ACTIVATIONS[spec.activation](read)
        parts = torch.split(read, [spec.keys, spec.keys, spec.values], -1)
        q, k, v = (
            torch.unflatten(part, -1, (heads, -1))
            for part, heads in zip(parts, (spec.key_heads, spec.key_heads, spec.heads), strict=True)
        )
        q, k = (x * (x.to(decay.dtype).square().sum(-1, keepdim=True) + spec.eps).rsqrt() for x in (q, k))
        found, state = delta_rule(q * spec.key_size**-0.5, k, v, decay, rate, before[1] if before else None)
        return found.to(read.dtype), (tail, state)
