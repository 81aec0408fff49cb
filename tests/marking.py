"""Marks that a test has by where it is and what it needs, the order of the tests, and which of them share a worker."""

from __future__ import annotations

import pytest

_AZURE_FIXTURES = {"azure", "azurite", "azurite_queue", "furnished", "worker"}
_SLURM_FIXTURES = {"slurm_conf", "slurm_accounting_conf"}
_SLOW_FOLDERS = ("tests/acceptance/", "tests/integration/", "tests/browser/")  # real commands, a real browser
_BROWSER_FOLDER = "tests/browser/"
_SDK_FOLDER = "tests/contracts/"  # one emulated Azure ML and one process with both SDKs, for all backends


def mark(items: list[pytest.Item]) -> None:
    """Sets the marks, and puts first what takes long: else it is what the other workers wait for in the end."""
    for item in items:
        _mark_servers(item)
        if item.nodeid.startswith(_SLOW_FOLDERS):
            item.add_marker("slow")
        if item.nodeid.startswith(_BROWSER_FOLDER):
            item.add_marker("browser")
            item.add_marker(pytest.mark.xdist_group("browser"))  # one browser, one viewer
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def keep_groups(items: list[pytest.Item]) -> None:
    """Names the group of a test in its id, where pytest-xdist looks for it: it writes (3.8) into an attribute that
    pytest has no longer (9.2), and then each process starts every server of a group, a test here and a test there."""
    for item in items:
        group = item.get_closest_marker("xdist_group")
        if group is not None and hasattr(item, "_id"):
            item._id = type(item._id).parse(f"{item.nodeid}@{group.args[0]}")
            assert item.nodeid.endswith(f"@{group.args[0]}")


def leave_out_long(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects what takes minutes, unless ``-m long`` asks for it."""
    if "long" in config.getoption("markexpr", ""):
        return
    long = [item for item in items if item.get_closest_marker("long") is not None]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


def _mark_servers(item: pytest.Item) -> None:
    fixtures = set(getattr(item, "fixturenames", ()))
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    kinds = {value for value in parameters if isinstance(value, str)}
    if "mongodb_uri" in fixtures or ("mongo" in kinds and fixtures & {"database", "database_environment"}):
        item.add_marker("mongo")
    if fixtures & _AZURE_FIXTURES or ("blob" in kinds and "subject" in fixtures):
        item.add_marker("azure")
    if fixtures & _SLURM_FIXTURES or item.nodeid.startswith("tests/contracts/backends/test_slurm"):
        item.add_marker("slurm")
        item.add_marker(pytest.mark.xdist_group("slurm"))  # a few nodes, for one test at a time
    if {"azure", "furnished"} & fixtures:
        shared = item.nodeid.startswith(_SDK_FOLDER)
        item.add_marker(pytest.mark.xdist_group("azure" if shared else item.nodeid.partition("::")[0]))
