"""Hydra's own suites for plugins pass: 43 tests, as they ship in its wheel.

- ``LauncherTestSuite`` (9) and ``BatchedSweeperTestSuite`` (1): hw6's launcher under Hydra's basic sweeper, as any
  application that is not hw6's meets it;
- ``IntegrationTestSuite`` (11, three times): applications in processes of their own that choose hw6's launcher on the
  command line, in their config, and in batches of one job.

None of them can be run by hw6's sweeper: their applications are functions of their own, it runs hw6's experiments alone
(a ``Job``) and refuses the others, which the last test holds; and they look at a list of a ``JobReturn`` for each job,
where it returns the outcome of the sweep. What it is to be is ``EngineSuite``'s.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.errors import HydraException
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite
from hydra.version import VersionBase, __compat_version__

IN_CONFIG = {"defaults": [{"override hydra/launcher": "hw6"}]}
TYPED = ["-m", "hydra/launcher=hw6"]

# The suites leave version_base out, which is to change into a job's directory, and Hydra warns of that.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Future Hydra versions will no longer change working directory"),
    pytest.mark.usefixtures("without_version_base"),
]


@pytest.fixture
def without_version_base(hydra_restore_singletons: None) -> None:
    """Hydra as the suites know it, whatever commands ran in this process before."""
    VersionBase.instance().setbase(__compat_version__)


@pytest.mark.parametrize(("launcher_name", "overrides"), [("hw6", [])])
class TestOurLauncher(LauncherTestSuite):
    """One job, several, config groups, a resolver, mistakes."""


@pytest.mark.parametrize(("launcher_name", "overrides"), [("hw6", ["hydra.sweeper.max_batch_size=2"])])
class TestOurLauncherInBatches(BatchedSweeperTestSuite):
    """Job numbers and directories go on from batch to batch."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [
        pytest.param({}, TYPED, id="typed"),
        pytest.param(IN_CONFIG, ["-m"], id="in the config"),
        pytest.param({}, [*TYPED, "hydra.sweeper.max_batch_size=1"], id="job by job"),
    ],
)
class TestApplications(IntegrationTestSuite):
    """Names and directories of jobs."""


def test_our_sweeper_refuses_their_application(hydra_sweep_runner: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    sweep = hydra_sweep_runner(
        calling_file=None,
        calling_module="hydra.test_utils.a_module",
        task_function=None,
        config_path="configs",
        config_name="compose.yaml",
        overrides=["hydra/sweeper=hw6", "hydra/launcher=hw6", "bar=100,200"],
        temp_dir=folder,
    )
    with pytest.raises(HydraException, match="hydra/sweeper=hw6 runs hw6's own experiments"), sweep:
        pass
    assert list(folder.iterdir()) == []
