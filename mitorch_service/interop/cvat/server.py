"""Speaks to a CVAT server by its own SDK. Nothing else imports it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from mitorch_service.errors import CvatError, MissingExtra
from mitorch_service.interop.cvat.documents import Frame, JobState, Shape, Tag, Task

Result = TypeVar("Result")

log = logging.getLogger("mitorch")

FORMAT = "CVAT for images 1.1"
_WAITS = (1.0, 4.0, 15.0)  # seconds before another try
_CHECK_SECONDS = 2.0  # between two questions whether the server has finished
_QUALITY = 100  # of the images that annotators see; less would blur what is drawn around
_REFUSED = (401, 403)
_BUSY = 429


class CvatServer:
    """The calls that data sets need. Each raises CvatError; those that only read, or that can be repeated without
    harm, are tried again when the server or the connection fails."""

    def __init__(self, client: Any, url: str, sleep: Callable[[float], None] = time.sleep) -> None:
        """`client`: the SDK's. `url`: for messages."""
        self.url = url
        self._client = client
        self._sleep = sleep

    def find_tasks(self, named: Sequence[str], status: str | None = None) -> list[Task]:
        """The tasks with these names or ids, in the order given; all of them without any. `status`: annotation,
        validation or completed."""
        found: dict[int, Any] = {}
        for name in named or [""]:
            same = self._named(name, status)
            if name and not same:
                kind = f"task {name!r}" if status is None else f"task {name!r} with the status {status}"
                raise CvatError(self.url, f"there is no {kind}", "Check the name, or give the number in its address.")
            found |= {one.id: one for one in same}
        return [self._task(one) for one in found.values()]

    def _named(self, name: str, status: str | None) -> list[Any]:
        """The tasks with this name or id; all of them for an empty name."""
        if name.isascii() and name.isdecimal():
            tasks = [self._call(f"look for task {name}", lambda: self._client.tasks.retrieve(int(name)))]
        else:
            tasks = self._called(name)
        return [one for one in tasks if status in {None, _text(one.status)}]

    def _called(self, name: str) -> list[Any]:
        filters = {"name": name} if name else {}  # CVAT takes what contains it, in any case
        tasks = self._call("look for tasks", lambda: self._client.tasks.list(**filters))
        return [one for one in tasks if name in {"", one.name}]

    def frames(self, task: Task) -> dict[str, Frame]:
        """The images of a task by name, without those that were deleted in it."""
        meta = self._call("read the frames", lambda: self._api.retrieve_data_meta(task.id)[0])
        gone = set(meta.deleted_frames or ())
        found = enumerate(meta.frames)
        return {one.name: Frame(number, one.width, one.height) for number, one in found if number not in gone}

    def labels(self, task: Task) -> dict[str, int]:
        """The ids of a task's labels by name."""
        labels = self._call("read the labels", lambda: self._entity(task).get_labels())
        return {label.name: label.id for label in labels}

    def shapes(self, task: Task) -> list[Shape]:
        """The rectangles that are drawn on a task's frames."""
        found = self._call("read the annotations", lambda: self._api.retrieve_annotations(task.id)[0])
        rectangles = (shape for shape in found.shapes or () if _text(shape.type) == "rectangle")
        return [Shape.rounded(shape.frame, shape.label_id, shape.points) for shape in rectangles]

    def export(self, task: Task, path: Path) -> None:
        """Downloads a task with its images into a new file."""

        def download() -> None:
            path.unlink(missing_ok=True)
            entity = self._client.tasks.retrieve(task.id)
            entity.export_dataset(FORMAT, path, status_check_period=self._check_period, location=Location.LOCAL)

        from cvat_sdk.core.proxies.types import Location

        self._call(f"export task {task.name}", download)

    def add_shapes(self, task: Task, shapes: Mapping[Shape, float | None], source: str) -> int:
        """Adds rectangles with their scores in one request, those only that are not there yet; returns how many. Where
        the connection is cut, what has arrived is looked up before the rest is sent again. `source`: manual or auto."""
        before = set(self.shapes(task))
        added = {shape: score for shape, score in shapes.items() if shape not in before}

        def send() -> None:
            there = set(self.shapes(task))
            if missing := {shape: score for shape, score in added.items() if shape not in there}:
                self._send(task, missing, source)

        if added:
            self._call("add annotations", send)
        return len(added)

    def add_tags(self, task: Task, tags: Iterable[Tag]) -> int:
        """Adds classes of whole frames in one request, as `add_shapes` adds rectangles; returns how many."""
        added = set(tags) - self._tags(task)

        def send() -> None:
            if missing := added - self._tags(task):
                self._send_tags(task, sorted(missing))

        if added:
            self._call("add tags", send)
        return len(added)

    def _tags(self, task: Task) -> set[Tag]:
        found = self._call("read the annotations", lambda: self._api.retrieve_annotations(task.id)[0])
        return {Tag(tag.frame, tag.label_id) for tag in found.tags or ()}

    def check_unused(self, name: str) -> None:
        """Raises CvatError if there is a task of this name: two could not be told apart."""
        if self._called(name):
            raise CvatError(self.url, f"there is a task {name} already", "Choose another name, or remove that task.")

    def remove(self, task: Task) -> None:
        """Removes a task with all its annotations."""
        self._call(f"remove the task {task.name}", lambda: self._client.tasks.retrieve(task.id).remove())

    def create_task(self, name: str, classes: Sequence[str], files: Sequence[Path]) -> Task:
        """Creates a task of image files. If that fails, the unfinished task is removed, and created anew."""

        def create() -> Any:
            created = self._client.tasks.create({"name": name, "labels": [{"name": one} for one in classes]})
            try:
                created.upload_data(
                    list(files),
                    params={"image_quality": _QUALITY, "sorting_method": "natural"},
                    status_check_period=self._check_period,
                )
            except BaseException:
                self._call("remove the unfinished task", created.remove)
                raise
            return created

        return self._task(self._call(f"create the task {name}", create))

    @property
    def _api(self) -> Any:
        return self._client.api_client.tasks_api

    @property
    def _check_period(self) -> float:
        return float(self._client.config.status_check_period)

    def _entity(self, task: Task) -> Any:
        return self._call("read the task", lambda: self._client.tasks.retrieve(task.id))

    def _task(self, entity: Any) -> Task:
        jobs = self._call("read the jobs", entity.get_jobs)
        states = sorted(JobState(job.id, _text(job.stage), _text(job.state), _time(job.updated_date)) for job in jobs)
        return Task(entity.id, entity.name, _text(entity.status), _time(entity.updated_date), tuple(states))

    def _send(self, task: Task, shapes: Mapping[Shape, float | None], source: str) -> None:
        from cvat_sdk import models

        requests = [
            models.LabeledShapeRequest(
                type=models.ShapeType("rectangle"),
                frame=shape.frame,
                label_id=shape.label_id,
                points=list(shape.points),
                source=source,
                **({} if score is None else {"score": round(score, 6)}),
            )
            for shape, score in shapes.items()
        ]
        data = models.PatchedLabeledDataRequest(shapes=requests)
        self._api.partial_update_annotations(action="create", id=task.id, patched_labeled_data_request=data)

    def _send_tags(self, task: Task, tags: Sequence[Tag]) -> None:
        from cvat_sdk import models

        requests = [models.LabeledImageRequest(frame=tag.frame, label_id=tag.label_id, source="manual") for tag in tags]
        data = models.PatchedLabeledDataRequest(tags=requests)
        self._api.partial_update_annotations(action="create", id=task.id, patched_labeled_data_request=data)

    def _call(self, what: str, function: Callable[[], Result]) -> Result:
        return call(self.url, what, function, self._sleep)


def call(url: str, what: str, function: Callable[[], Result], sleep: Callable[[float], None]) -> Result:
    """Calls a function of the SDK, again after a failure of the server or the connection. Raises CvatError."""
    import urllib3
    from cvat_sdk.api_client.exceptions import OpenApiException
    from cvat_sdk.core.exceptions import CvatSdkException
    from cvat_sdk.exceptions import ApiException

    for wait in (*_WAITS, None):
        try:
            return function()
        except ApiException as error:
            status = error.status or 0
            problem = f"it answered {status} {error.reason}".strip()
            if status in _REFUSED:
                raise CvatError(url, f"refuses to {what}: {problem}", _CREDENTIALS) from None
            if 400 <= status < 500 and status != _BUSY:
                raise CvatError(url, f"cannot {what}: {problem}", _detail(error)) from None
        except (urllib3.exceptions.HTTPError, CvatSdkException, OSError) as error:
            problem = f"{type(error).__name__}: {error}"
        except (OpenApiException, AssertionError, TypeError, ValueError, LookupError, AttributeError) as error:
            problem = f"it does not answer as CVAT does ({type(error).__name__}: {str(error)[:200]})"
            remedy = "Check MITORCH_CVAT_URL, and the version of the server."
            raise CvatError(url, f"cannot {what}: {problem}", remedy) from error
        if wait is None:
            raise CvatError(url, f"cannot {what}: {problem}", "Try again later.") from None
        log.warning("CVAT: cannot %s (%s); trying again in %g s", what, problem, wait)
        sleep(wait)
    raise AssertionError  # the last round returns or raises


_CREDENTIALS = "Set MITORCH_CVAT_AUTH to USER:PASSWORD or to an access token that may do this."


@contextmanager
def open_cvat(
    url: str, auth: str, *, sleep: Callable[[float], None] = time.sleep, check_seconds: float = _CHECK_SECONDS
) -> Iterator[CvatServer]:
    """Logs in to a server. `auth`: USER:PASSWORD, or an access token. Raises CvatError, MissingExtra."""
    try:
        from cvat_sdk.core.client import AccessTokenCredentials, Client, Config, PasswordCredentials
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "cvat-sdk", "cvat") from error
    quiet = logging.getLogger("mitorch.cvat_sdk")
    quiet.setLevel(logging.ERROR)
    user, colon, password = auth.partition(":")
    credentials = PasswordCredentials(user, password) if colon else AccessTokenCredentials(auth)
    with Client(
        url, logger=quiet, config=Config(status_check_period=check_seconds), check_server_version=False
    ) as client:
        _log_in(client, url, credentials, sleep)
        yield CvatServer(client, url, sleep)


def _log_in(client: Any, url: str, credentials: Any, sleep: Callable[[float], None]) -> None:
    try:
        call(url, "log in", lambda: client.login(credentials), sleep)
    except CvatError as error:
        if "answered 4" in str(error):  # 400: wrong user or password
            raise CvatError(url, "refuses the login", _CREDENTIALS) from None
        raise


def _detail(error: Any) -> str:
    """The server's own words about it, shortened."""
    body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else str(error.body or "")
    return f"It says: {' '.join(body.split())[:200]}" if body.strip() else "Check the task in CVAT."


def _text(value: Any) -> str:
    """A word of the SDK, which may be an object with a value."""
    return str(getattr(value, "value", value) or "")


def _time(value: Any) -> str:
    return value.isoformat() if value is not None else ""
