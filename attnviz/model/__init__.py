"""The model: its facts, its forward pass, the attention kernel, and the check against transformers."""
