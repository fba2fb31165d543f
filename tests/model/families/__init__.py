"""What is special to each family: its configs as published, in the spelling of their time, and what it refuses.

Of a published config only what says something about the model is repeated here.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from transformers import CONFIG_MAPPING

from attnviz.errors import ModelError, UnsupportedModel
from attnviz.model.architecture.spec import Spec
from attnviz.model.families import find_family


def read(config: Mapping[str, Any]) -> Spec:
    return find_family(config).spec(config)


def written(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config as transformers reads it and writes it again."""
    values = {name: copy.deepcopy(value) for name, value in config.items() if name != "model_type"}
    return CONFIG_MAPPING[config["model_type"]](**values).to_dict()


def assert_defaults(kind: str) -> None:
    """Absent and null attributes have the values of transformers."""
    config = written({"model_type": kind})
    nulls = dict.fromkeys(config.keys() - {"model_type"})
    assert read({"model_type": kind}) == read(config) == read(nulls | {"model_type": kind})


def assert_published(config: Mapping[str, Any]) -> None:
    """We read the config as transformers does, and pass over nothing that we do not know."""
    spec = read(config)
    assert spec == read(written(config))
    assert spec.causal
    assert spec.head
    with pytest.raises(UnsupportedModel, match="mystery = 3"):
        read({**config, "mystery": 3})


def assert_refused(config: Mapping[str, Any], words: str, error: type[ModelError] = UnsupportedModel) -> None:
    with pytest.raises(error, match=words):
        read(config)
