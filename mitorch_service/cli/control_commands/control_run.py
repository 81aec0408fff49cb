"""One pass of the controller, or pass after pass, with its progress shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import click

from mitorch_service.cli.submission.obdb_results import tell_results
from mitorch_service.cli.views.control.pass_progress import PassProgress, show_pass
from mitorch_service.cli.views.pages.output import text
from mitorch_service.controller.loop import Controller, run
from mitorch_service.controller.pass_report import Event, PassReport
from mitorch_service.errors import DATABASE_TROUBLE, StoreUnavailable
from mitorch_service.insights.endings import AttemptEnd, ended_between
from mitorch_service.models.training import Training
from mitorch_service.settings import Settings, read_settings
from mitorch_service.stores.base import Store
from mitorch_service.wiring import open_artifacts, open_backends, open_store, open_translation
from mitorch_service.wording.control_characters import hanging

Result = TypeVar("Result")

_LOCAL_SECONDS = 1.0
_REMOTE_SECONDS = 300.0


def one_pass() -> int:
    """Runs one pass and prints its events. Returns 1 if some of it failed."""
    settings = read_settings()
    store = open_store(settings, create=True)
    controller = open_controller(settings, store, None)
    report = controller.tick(store.now())
    tell_results(store, settings, lambda line: click.echo(hanging(line)))
    for event in report.events:
        click.echo(hanging(event.text), err=event.failed)
        if event.trace is not None:
            click.echo(hanging(event.trace), err=True)
    if not report.events:
        click.echo("nothing to do")
    return int(any(event.failed for event in report.events))


def run_passes(every: float | None, until_idle: bool) -> None:
    """Runs passes until Ctrl-C, or until there is nothing to do. A database that does not answer is waited for."""
    settings = read_settings()
    seconds = every or _default_seconds(settings)
    with show_pass() as show:
        store = _once_it_answers(lambda: open_store(settings, create=True), show, seconds)
        controller = open_controller(settings, store, seconds)
        first = PassReport(_once_it_answers(lambda: controller.observe(store.now()), show, seconds))
        passes = _Passes(store, controller, show, first, settings)
        run(passes.tick, lambda: time.sleep(seconds), show.report, until_idle)


def open_controller(settings: Settings, store: Store, every: float | None) -> Controller:
    """Opens the controller of the settings; `every`: seconds between passes, if they are known."""
    backends, artifacts = open_backends(settings), open_artifacts(settings)
    hooks, policy = settings.webhooks, settings.placement
    translate = open_translation(settings, store)
    return Controller(store, backends, settings.clusters, artifacts, every, hooks, translate, policy=policy)


def _once_it_answers(call: Callable[[], Result], show: PassProgress, seconds: float) -> Result:
    while True:
        try:
            return call()
        except StoreUnavailable as error:
            show.note(str(error), failed=True)
            time.sleep(seconds)


class _Passes:
    """Runs passes and shows which trainings ended between them."""

    def __init__(
        self, store: Store, controller: Controller, show: PassProgress, last: PassReport, settings: Settings
    ) -> None:
        self._store = store
        self._controller = controller
        self._show = show
        self._last = last
        self._settings = settings

    def tick(self) -> PassReport:
        try:
            report = self._controller.tick(self._store.now())
            for end in ended_between(self._store, self._last.snapshot, report.snapshot):
                if not _is_told(end, self._last.events):
                    self._show.note(_ending_text(end), failed=False)
        except DATABASE_TROUBLE as error:
            self._show.note(str(error), failed=True)
            return PassReport(self._last.snapshot)
        self._last = report
        tell_results(self._store, self._settings, lambda line: self._show.note(line, failed=False))
        return report


def _is_told(end: Training | AttemptEnd, events: Sequence[Event]) -> bool:
    """Whether the pass before has ended this attempt itself, and said so."""
    number = end.attempt if isinstance(end, Training) else end.number
    told = f"training {_id(end)[:8]}: attempt {number} "
    return any(event.text.startswith(told) for event in events)


def _id(end: Training | AttemptEnd) -> str:
    return end.id if isinstance(end, Training) else end.training_id


def _ending_text(training: Training | AttemptEnd) -> str:
    if isinstance(training, AttemptEnd):
        why = f": {training.reason}" if training.reason else ""
        return (
            f"training {training.training_id[:8]}: attempt {training.number} {training.outcome}{why}; it is tried again"
        )
    result = training.error.message if training.error is not None else text(training.evaluation)
    return f"training {training.id[:8]} {training.status}" + (f": {result}" if result != "-" else "")


def _default_seconds(settings: Settings) -> float:
    """Asking this machine costs nothing; asking a cloud does."""
    local = all(cluster.kind == "local" for cluster in settings.clusters)
    return _LOCAL_SECONDS if local else _REMOTE_SECONDS
