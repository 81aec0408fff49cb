"""One thread for the small matrices of all searches, as in a pass of the controller."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from mitorch_service.search.samplers.threads import one_blas_thread


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    assert np.__version__  # loaded, so that it can be limited
    with one_blas_thread():
        yield
