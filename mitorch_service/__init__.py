"""A training job scheduler for PyTorch with no server of its own."""
