"""What a notebook or a script uses: ``load``, ``Model``, ``Attention`` and ``EncoderDecoder``."""

from attnviz.interface.loading import load
from attnviz.interface.model import Model
from attnviz.interface.records import Attention, EncoderDecoder

__all__ = ["Attention", "EncoderDecoder", "Model", "load"]
