"""What a notebook or a script uses: ``load``, ``Model``, its records, and interventions."""

from attnviz.attention.interventions import Cut, Freeze, Mean, Patch, Zero
from attnviz.interface.loading import load
from attnviz.interface.model import Model
from attnviz.interface.records import Attention, EncoderDecoder

__all__ = ["Attention", "Cut", "EncoderDecoder", "Freeze", "Mean", "Model", "Patch", "Zero", "load"]
