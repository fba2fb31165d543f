"""What a class declares says how a transformers model attends; where it declares nothing, one short run shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
import transformers
from transformers import BloomPreTrainedModel, Dots1PreTrainedModel

import attnviz
from attnviz.errors import UnsupportedModel
from attnviz.model.hosted.loaded import Loaded
from tests import tiny
from tests.model.tiny_configs import CARE
from tests.model.zoo import tiny_config


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Loaded]:
    """The model of each run of transformers."""
    found: list[Loaded] = []
    plain = Loaded._forward

    def counted(model: Loaded, *given: object, **named: object) -> object:
        found.append(model)
        return plain(model, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Loaded, "_forward", counted)
    return found


@pytest.fixture
def hybrid(tmp_path: Path) -> Path:
    """A model with linear layers, whose class declares nothing."""
    model = transformers.Qwen3NextForCausalLM(tiny_config("qwen3_next"))
    return tiny.save(tmp_path / "hybrid", model, scale=CARE["qwen3_next"].scale)


def test_a_class_that_declares_the_interface_runs_no_more_than_the_text(tiny_hosted: Path, runs: list[Loaded]) -> None:
    model = attnviz.load(tiny_hosted)
    assert (model.backend.name, len(runs)) == ("hosted", 0)
    model.attend(tiny.SENTENCE)
    assert len(runs) == 1


def test_one_run_shows_how_a_class_attends_that_declares_nothing(hybrid: Path, runs: list[Loaded]) -> None:
    backend = attnviz.load(hybrid).by_transformers
    assert (backend.name, len(runs), backend.numbers()) == ("hosted", 1, (1,))


def test_a_class_that_no_longer_declares_it_is_run(
    tiny_hosted: Path, runs: list[Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dots1PreTrainedModel, "_supports_attention_backend", False)
    assert attnviz.load(tiny_hosted).backend.name == "hosted"
    assert len(runs) == 1


def test_a_model_in_memory_is_run_whatever_its_class_declares(tiny_hosted: Path, runs: list[Loaded]) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_hosted)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_hosted)
    assert attnviz.load((model, tokenizer)).backend.name == "hosted"
    assert len(runs) == 1


def test_what_runs_natively_is_compared_without_more_runs(tiny_llama: Path, runs: list[Loaded]) -> None:
    model = attnviz.load(tiny_llama)
    assert (model.by_transformers.name, len(runs)) == ("hosted", 0)


def test_a_class_that_declares_what_is_not_so_is_refused_when_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BloomPreTrainedModel, "_supports_attention_backend", True)
    model = transformers.BloomForCausalLM(tiny_config("bloom"))
    loaded = attnviz.load(tiny.save(tmp_path / "bloom", model))
    with pytest.raises(UnsupportedModel, match="BloomModel attends by itself"):
        loaded.by_transformers.numbers()


def test_what_a_run_shows_is_known_before_the_first_text(tiny_hosted: Path, runs: list[Loaded]) -> None:
    backend = attnviz.load(tiny_hosted).by_transformers
    assert (backend.causal(), backend.numbers(), len(runs)) == (True, (0, 1, 2), 1)
