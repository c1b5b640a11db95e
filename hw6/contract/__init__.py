"""What an author of experiments touches: experiments, keys, metrics, drawings. Knows NumPy alone."""
