"""Streams, features, ridge regression, tuning and risk: numpy in, numpy out; no configuration, no tables."""
