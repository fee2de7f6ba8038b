"""One file a model: pure torch modules, tensors in, tensors out."""
