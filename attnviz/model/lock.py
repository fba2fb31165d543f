"""The lock of transformers models that run, or are looked at."""

import threading

MODEL_LOCK = threading.RLock()
"""Is held while a transformers model runs. There is one for all models: what transformers logs, by which functions it
attends, and torch's default type belong to the process."""
