"""The fake of the controller's tests keeps the contract of a backend, as far as nothing is executed."""

from __future__ import annotations

import pytest

from mitorch_service.backends.base import Backend
from tests.contracts.backends.backend_suite import BackendContract, SlotContract, WithSlots
from tests.fakes import FakeBackend


class TestFakeBackend(BackendContract, SlotContract):
    @pytest.fixture
    def backend_with(self) -> WithSlots:
        def make(slots: int) -> Backend:
            return FakeBackend(slots=slots)

        return make
