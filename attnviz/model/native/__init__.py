"""The native backend: our own forward pass from a checkpoint's tensors."""
