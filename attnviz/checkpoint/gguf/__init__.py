"""GGUF files: their header, config, tensors and tokenizer, read without transformers where it can be."""
