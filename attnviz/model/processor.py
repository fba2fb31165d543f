"""Which types of numbers the processor has instructions for."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_INSTRUCTIONS = {
    "bfloat16": {"avx512_bf16": "AVX512-BF16", "amx_bf16": "AMX", "bf16": "BF16"},
    "float16": {"avx512_fp16": "AVX512-FP16", "amx_fp16": "AMX-FP16", "asimdhp": "FP16"},
}
"""The flags in Linux's description of a processor that multiplies matrices of a type, and what they stand for."""


def slow_type(dtype: str) -> str:
    """Return why numbers of ``dtype`` are slower than float32 on this processor; empty if they are not known to be."""
    known, flags = _INSTRUCTIONS.get(dtype, {}), _flags()
    if not known or not flags or flags & known.keys():
        return ""
    needed = " or ".join(known.values())
    return f"{dtype} is slower than float32 here: the processor has no instructions for it ({needed})"


@cache
def _flags() -> frozenset[str]:
    """The flags of the processor; none where Linux does not say them."""
    try:
        said = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", said, re.MULTILINE)
    return frozenset(line[1].split()) if line else frozenset()
