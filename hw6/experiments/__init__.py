"""The experiments, each a function from a batch of cells to their rows."""
