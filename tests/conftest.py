"""Strict surroundings for every test: no network, a directory of its own, ways to run a command."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from commands import Command, Process
from recipes import THIRD_PARTY, install_third_party
from threadpoolctl import threadpool_limits

os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_addoption(parser: pytest.Parser) -> None:
    default = os.environ.get("CI") == "true"
    parser.addoption("--strict-skips", action="store_true", default=default, help="a skip fails the run (set in CI)")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.getoption("--strict-skips") and terminalreporter.stats.get("skipped"):
        terminalreporter.write_line("skipped tests count as failures here (--strict-skips)", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--strict-skips") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread() -> Iterator[None]:
    """As a sweep has it: bits are promised for that."""
    with threadpool_limits(limits=1):
        yield


hypothesis.settings.register_profile("hw6", max_examples=30, deadline=None)  # machines are shared: no deadline
hypothesis.settings.load_profile("hw6")


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Refuse every connection that leaves the machine."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def allowed(own: socket.socket, address: Any) -> None:
        local = own.family == getattr(socket, "AF_UNIX", None)
        if not local and str(address[0]) not in {"127.0.0.1", "::1", "localhost"}:
            raise AssertionError(f"a test reaches for the network: {address}")

    def guarded(own: socket.socket, address: Any) -> None:
        allowed(own, address)
        connect(own, address)

    def guarded_ex(own: socket.socket, address: Any) -> int:
        allowed(own, address)
        return connect_ex(own, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        patch.setattr(socket.socket, "connect_ex", guarded_ex)
        yield


@pytest.fixture
def awkward_path(tmp_path: Path) -> Path:
    """A directory whose name needs quotes everywhere."""
    folder = tmp_path / 'it\'s a  "blank" =,[ö]{x}$ path-雪'
    folder.mkdir()
    return folder


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Commands in this process, in an empty working directory."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    return Command(folder)


@pytest.fixture
def process(tmp_path: Path) -> Process:
    """Commands in processes of their own, in an empty working directory."""
    folder = tmp_path / "process"
    folder.mkdir()
    return Process(folder)


@pytest.fixture
def third_party() -> Iterator[None]:
    """An experiment of somebody else, known while the test runs."""
    from hydra.core.config_store import ConfigStore

    from hw6.contract.registry import register, unregister

    register(replace(THIRD_PARTY))  # no variable of a file: other processes cannot find it
    yield
    unregister(THIRD_PARTY.name)
    ConfigStore.instance().repo.get("experiment", {}).pop(f"{THIRD_PARTY.name}.yaml", None)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, process: Process) -> Iterator[None]:
    """The same experiment as an installed package announces it: other processes know it too."""
    from hydra.core.config_store import ConfigStore

    folder = tmp_path / "site"
    install_third_party(folder)
    monkeypatch.syspath_prepend(folder)
    process.environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(Path(__file__).parent)])
    monkeypatch.setenv("PYTHONPATH", process.environment["PYTHONPATH"])
    yield
    ConfigStore.instance().repo.get("experiment", {}).pop(f"{THIRD_PARTY.name}.yaml", None)
