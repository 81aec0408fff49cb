"""The client of a viewer that runs elsewhere, by its API."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from pydantic import TypeAdapter, ValidationError

from mitorch_service import errors
from mitorch_service.client.connection import ChangesDetails, Connection, Options, SubmissionDetails, Written
from mitorch_service.early_answers import HttpHandler, HttpsHandler
from mitorch_service.errors import InvalidInput, MiTorchError, Problem, ServerError, ServerUnavailable
from mitorch_service.insights.details.dataset_details import DatasetDetails
from mitorch_service.insights.details.job_details import JobDetails, JobRow, LeaderboardDetails
from mitorch_service.insights.details.status_details import StatusDetails
from mitorch_service.insights.details.table_details import TableDetails
from mitorch_service.insights.details.training_details import CurveDetails, TrainingDetails
from mitorch_service.known_secrets import Secret, know
from mitorch_service.stores.verbs.trainings import Kind

_SECONDS = 60.0  # for one answer
_MOST_BYTES = 256_000_000
_FINE = 300  # statuses below it
_AWAY = (429, 502, 503, 504)
_REMEDIES = {
    401: "Give the token that miviewer prints at its start: Client(url, token), or MITORCH_VIEWER_TOKEN.",
    403: "A server with --read-only changes nothing.",
}
Answer = TypeVar("Answer")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token would be sent along, to whatever host is named."""

    def redirect_request(self, *_: Any) -> None:
        return None


class RemoteConnection(Connection):
    """Calls the API with the token in a header."""

    def __init__(self, url: str, token: str | None) -> None:
        """`url`: the server's address, or the whole link that it has printed. Raises InvalidInput."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput("url", [Problem(url.partition("?")[0], "must be http://HOST:PORT or https://HOST")])
        self._where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._token = token or next(iter(parse_qs(parts.query).get("token", [])), None)
        if self._token is not None:
            know([Secret(self._token)])
        self._opener = urllib.request.build_opener(_NoRedirect, HttpHandler, HttpsHandler)

    def find(self, key: str) -> tuple[Kind, str]:
        found = self._get(dict[str, Any], "find", key=key)
        kind: Kind = "job" if found["kind"] == "job" else "training"
        return kind, str(found["id"])

    def training(self, id: str) -> TrainingDetails:
        return self._get(TrainingDetails, f"trainings/{quote(id, safe='')}")

    def job(self, id: str) -> JobDetails:
        return self._get(JobDetails, f"jobs/{quote(id, safe='')}")

    def jobs(self, limit: int, name: str | None) -> list[JobRow]:
        return self._get(list[JobRow], "jobs", limit=limit, **({"name": name} if name else {}))

    def curve(self, id: str, after: int) -> CurveDetails:
        return self._get(CurveDetails, f"trainings/{quote(id, safe='')}/curve", after=after)

    def leaderboard(self, id: str, limit: int) -> LeaderboardDetails:
        return self._get(LeaderboardDetails, f"jobs/{quote(id, safe='')}/leaderboard", limit=limit)

    def table(self, where: str, sort: str | None, columns: str | None, limit: int, after: str | None) -> TableDetails:
        given = {"where": where, "sort": sort, "columns": columns, "limit": limit, "after": after}
        return self._get(TableDetails, "trainings", **{name: value for name, value in given.items() if value})

    def datasets(self) -> list[DatasetDetails]:
        return self._get(list[DatasetDetails], "datasets")

    def status(self) -> StatusDetails:
        return self._get(StatusDetails, "status")

    def submit(self, written: Written, options: Options, dry_run: bool) -> SubmissionDetails:
        body = {
            "text": written.text,
            "format": "yaml" if written.source.lower().endswith((".yaml", ".yml")) else "json",
            "dataset": options.dataset,
            "name": options.name,
            "tags": list(options.tags),
            "priority": options.priority,
            "dry_run": dry_run,
        }
        return self._send(SubmissionDetails, "submissions", body)

    def act(self, verb: str, ids: Sequence[str], labels: Mapping[str, Any]) -> ChangesDetails:
        return self._send(ChangesDetails, "actions", {"action": verb, "ids": list(ids), **labels})

    def _get(self, kind: type[Answer], path: str, **query: object) -> Answer:
        return self._call(kind, f"{path}?{urlencode(query)}" if query else path, None)

    def _send(self, kind: type[Answer], path: str, body: Mapping[str, Any]) -> Answer:
        return self._call(kind, path, json.dumps(body).encode())

    def _call(self, kind: type[Answer], path: str, body: bytes | None) -> Answer:
        headers = {"Accept": "application/json", **({} if body is None else {"Content-Type": "application/json"})}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(f"{self._where}/api/{path}", body, headers)  # noqa: S310 (http(s): checked before)
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                text = answer.read(_MOST_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error.code, error.read(_MOST_BYTES)) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise ServerUnavailable(self._where, f"does not answer ({reason})", "Does miviewer run there?") from error
        try:
            return TypeAdapter(kind).validate_json(text)
        except ValidationError as error:
            remedy = "Is it a viewer of this version of mitorch-service?"
            raise ServerError(self._where, "answers what cannot be read", remedy) from error

    def _refusal(self, code: int, text: bytes) -> MiTorchError:
        """The error that the server met, or one that says what it answered."""
        try:
            answer = json.loads(text)
            message, kind = str(answer["error"]), answer.get("kind")
            problems = [Problem(str(one["path"]), str(one["message"])) for one in answer.get("problems") or ()]
        except (ValueError, KeyError, TypeError, AttributeError):
            message, kind, problems = f"it answers with the status {code}", None, []
        if (known := revived(kind, message, problems)) is not None:
            return known
        remedy = _REMEDIES.get(code, "" if code < _FINE or message else "Is it a viewer?")
        return (ServerUnavailable if code in _AWAY else ServerError)(self._where, message.rstrip("."), remedy)


def revived(kind: object, message: str, problems: Sequence[Problem] = ()) -> MiTorchError | None:
    """Returns an error of `mitorch_service.errors` as another process has met it, by the name of its class."""
    found = getattr(errors, kind, None) if isinstance(kind, str) else None
    if not (isinstance(found, type) and issubclass(found, MiTorchError)):
        return None
    error = found.__new__(found, message)
    error.args = (message,)
    if isinstance(error, InvalidInput):
        error.source, error.problems = message.partition(":")[0], list(problems)
    return error
