"""Shared fixtures of all tests: a clean environment, and the servers."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import hypothesis
import pytest

from mitorch_service.known_secrets import know_only
from tests import azurite_server, coverage_measurement, mongodb_server, shared_server, slurm_server
from tests.marking import keep_groups, leave_out_long, mark
from tests.warm import servers
from tests.warm.command import forked_workers

_OURS = (
    *("MITORCH_HOME", "MITORCH_DB_URI", "MITORCH_DB_NAME", "MITORCH_STORAGE_URL", "MITORCH_CLUSTERS"),
    *("MITORCH_SHARED_GROUP", "MITORCH_VIEWER_TOKEN", "MITORCH_WEBHOOKS", "MITORCH_WEBHOOK_SECRET"),
    *(
        "MITORCH_OBDB_URI",
        "MITORCH_CVAT_URL",
        "MITORCH_CVAT_AUTH",
        "MONGODB_USERNAME",
        "MONGODB_PASSWORD",
        "MONGODB_PORT",
        "MONGODB_PORT_NUMBER",
    ),
)

# The same examples each time: a run of CI says the same as the one before. Soak with a larger `max_examples`.
hypothesis.settings.register_profile("ours", max_examples=50, deadline=None, database=None, derandomize=True)
hypothesis.settings.load_profile("ours")

# Started in the background of a script (`nohup scripts/test &`), the suite ignores Ctrl-C, and so would every command
# that it starts: those that are sent SIGINT would never end. A handler here, unlike SIG_IGN, is not inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup() -> None:
    """Several threads per test process, on cores that others use as well, wait for each other most of the time."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the settings of whoever runs it, or writes into their home."""
    for variable in [*_OURS, *(name for name in os.environ if name.startswith(("MITORCH_AML_", "MITORCH_AZURE_")))]:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    know_only(())  # nor the secrets of another test


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits, which take no time here."""
    made: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(made), sleep=made.append)
    monkeypatch.setattr("mitorch_service.stores.patience.time", clock)
    return made


@pytest.fixture(scope="session")
def mongodb_uri() -> Iterator[str]:
    """A running MongoDB-compatible server; without one the test is skipped here, and fails in CI."""
    try:
        with mongodb_server.mongodb_uri() as uri:
            yield uri
    except mongodb_server.NoServer as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def azurite() -> Iterator[azurite_server.Azurite]:
    """A running blob storage; without one the test is skipped here, and fails in CI."""
    try:
        with azurite_server.azurite() as server:
            yield server
    except azurite_server.NoServer as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def azurite_queue() -> Iterator[str]:
    """The connection string of running storage queues; without them the test is skipped here, and fails in CI."""
    try:
        with azurite_server.azurite_queue() as connection:
            yield connection
    except azurite_server.NoServer as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def slurm_conf() -> Iterator[str]:
    """The slurm.conf of a running Slurm; without one the test is skipped here, and fails in CI."""
    with _slurm() as conf:
        yield conf


@pytest.fixture(scope="session")
def slurm_accounting_conf() -> Iterator[str]:
    """The same of a Slurm with accounting."""
    with _slurm("--accounting") as conf:
        yield conf


@contextmanager
def _slurm(*options: str) -> Iterator[str]:
    try:
        with slurm_server.running_slurm(*options) as conf:
            yield conf
    except slurm_server.NoSlurm as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()  # until all tests are collected: nothing of what is imported and found is ever garbage
    main = not hasattr(config, "workerinput")
    parallel = bool(config.getoption("numprocesses", None))
    if main:
        config.stash[_SERVERS] = servers.Session()
    if main and parallel:  # the threads of several processes that wait for each other cost a multiple of the time
        os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")})
    if not main or not parallel:
        coverage_measurement.keep_to_ourselves()


def pytest_unconfigure(config: pytest.Config) -> None:
    coverage_measurement.save()
    if _SERVERS in config.stash:
        config.stash[_SERVERS].end()


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks, and put into groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mark(items)
    leave_out_long(config, items)
    if getattr(config.option, "loadgroup", False):  # a worker's
        keep_groups(items)


def pytest_collection_finish() -> None:
    gc.freeze()  # nor need it be walked again, or copied where a process is forked
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart(session: pytest.Session) -> Iterator[None]:
    is_whole = session.config.args_source is pytest.Config.ArgsSource.TESTPATHS  # a part may need no PyTorch
    if _is_main_process(session) and is_whole and session.config.getoption("numprocesses", None):
        with forked_workers():
            yield
    else:
        yield


@pytest.hookimpl(trylast=True)  # the workers have ended
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stops the servers of workers that were killed."""
    if _is_main_process(session) and session.config.getoption("numprocesses", None):
        shared_server.release(mongodb_server.SCRIPT)
        shared_server.release(slurm_server.SCRIPT)
        shared_server.release(slurm_server.SCRIPT, "--accounting")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The reasons of skipped tests, each told once."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason in sorted({report.longrepr[2].removeprefix("Skipped: ") for report in skipped}):
        terminalreporter.write_line(f"skipped: {reason}")


def _is_main_process(session: pytest.Session) -> bool:
    return not hasattr(session.config, "workerinput")


_SERVERS = pytest.StashKey[servers.Session]()
