"""The experiments of ``recipes_frames`` are known in every test of figures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from recipes_frames import known


@pytest.fixture(autouse=True)
def recipes_known() -> Iterator[None]:
    with known():
        yield
