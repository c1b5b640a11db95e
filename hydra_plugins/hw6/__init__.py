"""hw6's Hydra plugins: the only code that knows Hydra's plugin API. Every Hydra application imports these modules."""
