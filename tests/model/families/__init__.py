"""What is special to each family: published configs in the spelling of their time, and configs that it refuses.

A published config is repeated here as far as it says something about the model.
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
    """Return the config as transformers reads and writes it."""
    values = {name: copy.deepcopy(value) for name, value in config.items() if name != "model_type"}
    return CONFIG_MAPPING[config["model_type"]](**values).to_dict()


def assert_defaults(kind: str) -> None:
    """Absent and null attributes have the values of transformers."""
    config = written({"model_type": kind})
    nulls = dict.fromkeys(config.keys() - {"model_type"})
    assert read({"model_type": kind}) == read(config) == read(nulls | {"model_type": kind})


def assert_published(config: Mapping[str, Any]) -> None:
    """Assert that we read the config as transformers does, and ignore nothing unknown."""
    spec = read(config)
    assert spec == read(written(config))
    assert spec.causal
    assert spec.head
    with pytest.raises(UnsupportedModel, match="mystery = 3"):
        read({**config, "mystery": 3})


def assert_refused(config: Mapping[str, Any], words: str, error: type[ModelError] = UnsupportedModel) -> None:
    with pytest.raises(error, match=words):
        read(config)
