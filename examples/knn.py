"""k-nearest-neighbour regression: test error against k."""

from typing import Annotated

import numpy as np

import hw6


@hw6.experiment(version=1, metrics={"test_mse": "test error (mean squared)"}, objective="test_mse")
def knn(
    k: Annotated[int, hw6.Integer(help="neighbours", minimum=1)] = 5,
    n_train: int = 100,
    sigma: float = 0.5,
    seed: int = 0,
):
    """The mean over the k nearest training points as the prediction of sin(x), x uniform in [-3, 3]."""
    generator = np.random.default_rng([seed, n_train])
    x, x_test = generator.uniform(-3, 3, n_train), generator.uniform(-3, 3, 200)
    y = np.sin(x) + sigma * generator.standard_normal(n_train)
    nearest = np.argsort(np.abs(x_test[:, None] - x[None, :]), axis=1)[:, :k]
    return {"test_mse": np.mean((y[nearest].mean(axis=1) - np.sin(x_test)) ** 2)}


if __name__ == "__main__":
    hw6.main(knn)
