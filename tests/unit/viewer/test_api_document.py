"""The document of the API says what the API does: made-up requests meet no bug, and answers are as documented."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.served import BEARER, Served, served

_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_FEW = settings(max_examples=2, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("document"), trainings=10, trials=4, hosts=["*"]) as made:
        yield made


@pytest.mark.long
def test_made_up_requests_meet_no_bug_and_answers_are_as_documented(service: Served) -> None:
    document = schemathesis.openapi.from_asgi("/api/openapi.json", service.app, headers=BEARER)
    wrong: dict[str, str] = {}
    operations = 0
    for found in document.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.path.startswith("/api/events/"):
            continue  # a stream ends with the training, not with the test

        @_FEW
        @given(operation.as_strategy())
        def check(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(headers=BEARER, checks=_CHECKS)

        operations += 1
        try:
            check()
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - all operations are told at once
            wrong[operation.label] = str(error)[:2000]
    assert operations > 20
    assert not wrong, "\n\n".join(f"{label}\n{error}" for label, error in wrong.items())


def test_everything_in_the_document_is_described(seen: Served) -> None:
    document = seen.app.openapi()
    missing: list[str] = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            label = f"{method} {path}"
            missing += [label] * (not operation.get("summary") or not operation.get("description"))
            missing += [f"{label} {one['name']}" for one in operation.get("parameters", ()) if not _said(one)]
            assert operation["security"] == [{"token": []}], label
            assert {"401", "404", "504"} <= operation["responses"].keys(), label
    for name, schema in document["components"]["schemas"].items():
        if name not in ("HTTPValidationError", "ValidationError"):
            missing += [f"{name}.{field}" for field, one in schema.get("properties", {}).items() if not _said(one)]
    assert missing == []
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def _said(one: dict[str, Any]) -> bool:
    """Whether it is described, or is a constant, which says itself."""
    return bool(one.get("description") or "const" in one)
