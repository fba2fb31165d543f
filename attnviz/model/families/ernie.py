"""ERNIE (Sun et al. 2020): a BERT, whose embeddings may also say the task; without a task it is the first."""

from __future__ import annotations

from dataclasses import replace

from attnviz.model.architecture.config import Config
from attnviz.model.architecture.spec import LayerNorm, PostNorm, Spec
from attnviz.model.families.bert import NAMES as BERT_NAMES
from attnviz.model.families.bert import bert_embedding, bert_positions, bert_spec, pooled_classifier

PREFIX = "ernie."
classifier = pooled_classifier(PREFIX)

NAMES = {**BERT_NAMES, "embeddings.task_type_embeddings.weight": "embed.kinds.weight"}


def spec(config: Config) -> Spec:
    """The facts of an ERNIE; absent attributes have the values of transformers' ``ErnieConfig``."""
    norm = LayerNorm(config.number("layer_norm_eps", 1e-12))
    config.ignore("enable_recompute", "fuse")  # of PaddlePaddle's training and kernels
    tasks = config.size("task_type_vocab_size", 3)
    embedding = bert_embedding(config, bert_positions(config), norm)
    return bert_spec(config, replace(embedding, kinds=tasks if config.flag("use_task_id") else 0), PostNorm(norm))
