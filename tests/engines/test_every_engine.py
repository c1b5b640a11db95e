"""Every engine passes the suite of engines; a new one joins by a class of five lines."""

from __future__ import annotations

import pytest
from engines.suite import EngineSuite

from hw6.engines.foreign import Foreign
from hw6.engines.local import Local


class TestThisProcess(EngineSuite):
    words = ("workers=1",)
    engine = Local
    processes = False


@pytest.mark.slow
class TestLocalWorkers(EngineSuite):
    words = ("workers=2",)
    engine = Local
    processes = True


@pytest.mark.slow
class TestBasic(EngineSuite):
    words = ("hydra/launcher=basic",)
    engine = Foreign
    processes = False


@pytest.mark.slow
class TestJoblib(EngineSuite):
    """What it cannot do: a worker of its own that is only starting when Ctrl-C comes prints a traceback of its own."""

    words = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    engine = Foreign
    processes = True
