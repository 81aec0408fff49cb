from __future__ import annotations

import gc

import pytest

from mitorch_service.training.torch_imports import heavy_imports


def test_the_collector_pauses_and_goes_on() -> None:
    try:
        with heavy_imports():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_the_collector_goes_on_after_an_import_that_failed() -> None:
    try:
        with pytest.raises(ModuleNotFoundError), heavy_imports():
            raise ModuleNotFoundError("torch")
        assert gc.isenabled()
    finally:
        gc.unfreeze()
