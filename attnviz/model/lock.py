"""The lock that is held while a transformers model runs or is inspected."""

import threading

MODEL_LOCK = threading.RLock()
"""One lock for all models, since transformers' logging and attention functions, and torch's default type, belong to the
whole process."""
