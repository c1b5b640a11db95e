"""What the suites of this folder need to be taken for tests."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("engines.suite")
