"""The facts that describe a transformer, as frozen dataclasses.

A family file turns a config into a ``Spec``; the forward pass reads nothing else. Families differ in values, not in
names: ``position=Rotary(...)``, not ``use_rope=True``. Sizes use the shape letters of ``kernel.py``.
"""

from attnviz.model.architecture.spec.blocks import Adapter, AttentionSpec, Convolution, Latent, LayerSpec, TokenGate
from attnviz.model.architecture.spec.classifier import Classifier, Dense
from attnviz.model.architecture.spec.mixers import GatedDelta, Mixer, ShortConvolution
from attnviz.model.architecture.spec.mlps import (
    MLP,
    XIELU,
    AnyMLP,
    Experts,
    GatedMLP,
    Groups,
    MLPAndExperts,
    NearBest,
    Sigmoid,
)
from attnviz.model.architecture.spec.norms import (
    BranchNorm,
    LayerNorm,
    Norm,
    ParallelNorm,
    PostNorm,
    PreNorm,
    QKNorm,
    RMSNorm,
    SandwichNorm,
)
from attnviz.model.architecture.spec.positions import (
    ALiBi,
    Disentangled,
    Dynamic,
    Learned,
    Linear,
    Llama3,
    LongRope,
    Proportional,
    RelativeBuckets,
    Rotary,
    Sinusoidal,
    Temperature,
    Yarn,
)
from attnviz.model.architecture.spec.whole import Embedding, Head, LayerEmbedding, Projection, Spec

__all__ = [
    "MLP",
    "XIELU",
    "ALiBi",
    "Adapter",
    "AnyMLP",
    "AttentionSpec",
    "BranchNorm",
    "Classifier",
    "Convolution",
    "Dense",
    "Disentangled",
    "Dynamic",
    "Embedding",
    "Experts",
    "GatedDelta",
    "GatedMLP",
    "Groups",
    "Head",
    "Latent",
    "LayerEmbedding",
    "LayerNorm",
    "LayerSpec",
    "Learned",
    "Linear",
    "Llama3",
    "LongRope",
    "MLPAndExperts",
    "Mixer",
    "NearBest",
    "Norm",
    "ParallelNorm",
    "PostNorm",
    "PreNorm",
    "Projection",
    "Proportional",
    "QKNorm",
    "RMSNorm",
    "RelativeBuckets",
    "Rotary",
    "SandwichNorm",
    "ShortConvolution",
    "Sigmoid",
    "Sinusoidal",
    "Spec",
    "Temperature",
    "TokenGate",
    "Yarn",
]
