"""Pinned versions fit what is asked for, and the package says that it is typed."""

from __future__ import annotations

import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.documents import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in pins}


def test_every_dependency_is_pinned_at_a_version_that_is_allowed() -> None:
    pins = _pins()
    extras = PROJECT["optional-dependencies"].values()
    for text in [*PROJECT["dependencies"], *(one for extra in extras for one in extra)]:
        asked = Requirement(text)
        (pin,) = pins[canonicalize_name(asked.name)].specifier
        assert pin.operator == "=="
        assert asked.specifier.contains(pin.version), text


def test_what_is_different_on_every_platform_is_not_pinned() -> None:
    pins = _pins()
    assert not [name for name in pins if name.startswith(("nvidia-", "cuda-", "triton"))]
    for name in ("torch", "torchvision"):
        marker = pins[name].marker
        assert marker is not None
        assert not marker.evaluate({"platform_machine": "aarch64", "sys_platform": "linux"})
        assert marker.evaluate({"platform_machine": "x86_64", "sys_platform": "linux"})


def test_the_package_is_typed() -> None:
    assert (ROOT / "mitorch_service" / "py.typed").exists()
