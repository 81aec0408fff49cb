from __future__ import annotations

import subprocess
import sys

import pytest

from mitorch_service.training.networks.model_names import registered_names, unknown_model_problem


def test_finds_the_names_that_timm_registers() -> None:
    import timm

    names = registered_names()
    assert set(timm.list_models(include_tags=False)) <= names
    assert all(timm.is_model(name) for name in names)


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet18.a1_in1k", "convnext_tiny_in22ft1k", "hf-hub:timm/resnet18.a1_in1k"]
)
def test_known_names_are_no_problem(name: str) -> None:
    assert unknown_model_problem(name) is None


def test_the_nearest_names_are_offered() -> None:
    problem = unknown_model_problem("ResNet-18")
    assert problem is not None
    assert problem.startswith("timm has no model 'ResNet-18'; did you mean ")
    assert "resnet18" in problem
    assert "list them with" in str(unknown_model_problem("qqqq"))


def test_without_timm_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    registered_names.cache_clear()
    try:
        assert unknown_model_problem("anything") is None
    finally:
        registered_names.cache_clear()


def test_imports_neither_timm_nor_torch() -> None:
    code = (
        "import sys; from mitorch_service.training.loop.config_check import check_names; "
        "from mitorch_service.training.networks.model_names import unknown_model_problem as f; f('x'); "
        "from mitorch_service.training.data import file_checks; "
        "from mitorch_service.training.data.formats import text; "
        "from mitorch_service.training.loop import output_check, reporter; "
        "print([m for m in ('torch', 'timm', 'PIL', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
