"""Where the compiled passes can't be had, torch computes the same."""

from __future__ import annotations

import pytest

from attnviz.attention import tile


@pytest.mark.parametrize("error", [ImportError("no numba"), RuntimeError("no locator available for its cache")])
def test_torch_computes_where_the_compiled_passes_can_not_be_had(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise error

    monkeypatch.setattr("importlib.import_module", fail)
    assert tile.find_loops.__wrapped__("attnviz.attention.compiled.passes") is None
