"""The data: the homework's own to the byte, Gaussian data nested and of the stated law."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from hw6.contract.cells import codes
from hw6.experiments.datasets import STARTER_WIDTHS, Sizes, Starter, gaussian

SIZES = Sizes(d=6, sigma=0.5, sigma_validation=0.2, sigma_test=0.0, n_train=30, n_validation=8, n_test=5)
HASHES = {
    "X_train": "49f8bbe05e467c240bb4c494c2618868e36e52b85001d88e11adad4cb265b827",
    "X_val": "de21c939c21df6175ca52880663d44f464d39ba4457d84a163b4da097f0e0b2a",
    "X_test": "d58b04f9f55b649532df20d0c3841796b8434941b90e26f3812f7f635e38a7b6",
}


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def test_starter_rows_are_the_homework_s_to_the_byte():
    data = Starter().data
    parts = {"X_train": data.x_train, "X_val": data.x_query[:60], "X_test": data.x_query[60:]}
    assert {name: digest(x) for name, x in parts.items()} == HASHES


def test_starter_stream_is_the_homework_s_procedure():
    """One legacy stream; each row of X from multivariate_normal; one W a width, in turn."""
    stream = np.random.RandomState(0)

    def row():
        return stream.multivariate_normal(np.zeros(35), np.identity(35))

    b = stream.randn(35)
    b /= np.linalg.norm(b)
    x = np.array([row() for _ in range(300)])
    y = x @ b + stream.normal(0.0, 0.5, 300)
    x_query = np.array([row() for _ in range(90)])
    starter = Starter()
    np.testing.assert_array_equal(starter.data.x_train, x)
    np.testing.assert_array_equal(starter.data.x_query, x_query)
    np.testing.assert_allclose(starter.data.y_train, y, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(starter.data.y_query, x_query @ b, rtol=1e-14, atol=1e-14)
    for p in STARTER_WIDTHS[:6]:
        np.testing.assert_array_equal(starter.weights(p), stream.normal(0.0, 1.0 / np.sqrt(p), (p, 35)))


def test_starter_weights_do_not_depend_on_what_was_asked_before():
    in_turn = Starter()
    kept = {p: in_turn.weights(p).copy() for p in (1, 21, 31, 201)}
    backwards = Starter()
    for p in (201, 31, 31, 1, 21):
        np.testing.assert_array_equal(backwards.weights(p), kept[p])


def test_the_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    Starter().weights(11)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("key", ["n_train", "n_validation", "n_test"])
def test_a_smaller_set_is_the_start_of_a_larger_one_and_shifts_no_other(key):
    large = gaussian(4, SIZES)
    small = gaussian(4, replace(SIZES, **{key: 3}))
    v, w = small.n_validation, large.n_validation
    pairs = (
        (small.x_train, large.x_train),
        (small.y_train, large.y_train),
        (small.x_query[:v], large.x_query[:w]),
        (small.y_query[:v], large.y_query[:w]),
        (small.x_query[v:], large.x_query[w:]),
        (small.y_query[v:], large.y_query[w:]),
        (small.b, large.b),
    )
    for few, many in pairs:
        np.testing.assert_array_equal(few, many[: len(few)])


def test_the_law_of_gaussian_data():
    data = gaussian(
        1, Sizes(d=4, sigma=0.5, sigma_validation=2.0, sigma_test=0.0, n_train=20_000, n_validation=20_000, n_test=9)
    )
    assert data.b @ data.b == pytest.approx(1.0, rel=1e-14)
    noise = data.y_train - data.x_train @ data.b
    assert noise.std() == pytest.approx(0.5, rel=0.03)
    assert (data.y_query - data.x_query @ data.b)[:20_000].std() == pytest.approx(2.0, rel=0.03)
    np.testing.assert_allclose(data.y_query[20_000:], data.x_query[20_000:] @ data.b, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(np.cov(data.x_train.T), np.eye(4), atol=0.05)
    assert abs(np.corrcoef(noise, data.x_train[:, 0])[0, 1]) < 0.03


def test_codes_tell_combinations_apart():
    cells = {"a": np.array([3, 1, 3, 1]), "b": np.array(["x", "x", "y", "x"], dtype=object), "c": np.broadcast_to(1, 4)}
    code = codes(cells, ("a", "b", "c")).tolist()
    assert code[1] == code[3]
    assert sorted(set(code)) == [0, 1, 2]
