"""All exceptions of the product. Each message states the problem and the remedy.

Driver exceptions never leave their room: they are chained (``raise … from``) to one of these.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class MiTorchError(Exception):
    """The base of all our errors. ``exit_code``: of a command that fails with it (1: it failed, 2: invalid input)."""

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Makes errors picklable (for data loaders and pools) although their constructors take no message."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[MiTorchError], args: tuple[Any, ...], values: dict[str, Any]) -> MiTorchError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(values)
    return error


@dataclass(frozen=True)
class Problem:
    """A problem in a user's file: its path (``optimizer.momentum``), and a message with the remedy."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class InvalidInput(MiTorchError):
    """A user's file or argument is invalid; nothing was changed. Lists all problems."""

    exit_code = 2

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = list(problems)
        lines = [f"{source}: {len(self.problems)} problem{'s' * (len(self.problems) != 1)}"]
        super().__init__("\n  ".join([*lines, *map(str, self.problems)]))


class InvalidFilter(InvalidInput):
    """A filter of trainings cannot be understood. `position`: of the word in the filter, counted from 0."""

    def __init__(self, word: str, position: int, problem: str) -> None:
        self.word = word
        self.position = position
        super().__init__("filter", [Problem(f"{word} (character {position + 1})", problem)])


class SettingsError(MiTorchError):
    """A setting (an environment variable) is invalid."""

    exit_code = 2

    def __init__(self, variable: str, problem: str, remedy: str) -> None:
        super().__init__(f"{variable}: {problem}. {remedy}")


class NotFound(MiTorchError):
    """No document has this id or name."""

    def __init__(self, kind: str, key: str, remedy: str = "List what there is with miquery.") -> None:
        self.kind = kind
        self.key = key
        super().__init__(f"There is no {kind} {key!r}. {remedy}")


class AmbiguousId(MiTorchError):
    """An id prefix matches more than one document."""

    exit_code = 2

    def __init__(self, prefix: str, candidates: Sequence[str]) -> None:
        self.candidates = list(candidates)
        super().__init__(f"The id {prefix!r} fits more than one: {', '.join(candidates)}. Give more characters of it.")


class AmbiguousName(MiTorchError):
    """Several documents have this name, and one is asked for."""

    exit_code = 2

    def __init__(self, name: str, ids: Sequence[str]) -> None:
        super().__init__(f"The name {name!r} is that of more than one: {', '.join(ids)}. Give the id of one.")


class AlreadyExists(MiTorchError):
    """A unique name is already used."""

    def __init__(self, kind: str, key: str, remedy: str) -> None:
        super().__init__(f"{kind} {key} exists already. {remedy}")


class NotAllowed(MiTorchError):
    """The document's status does not allow the operation."""

    def __init__(self, kind: str, key: str, status: str, asked: str, remedy: str) -> None:
        super().__init__(f"{kind} {key} is {status}: it cannot be {asked}. {remedy}")


class StaleAttempt(MiTorchError):
    """A run tried to write for an attempt that is no longer the training's current one, so that it must stop."""

    def __init__(self, training_id: str, attempt: int) -> None:
        super().__init__(
            f"Attempt {attempt} of training {training_id} is no longer current: "
            "it was ended or another one took over. This run stops and writes nothing more."
        )


_SHOWN = 60  # characters
_REPAIR = "`micontrol repair ID` keeps what can be read of it, `micontrol delete ID` removes it."
_REPAIRS = {"training": _REPAIR, "job": _REPAIR, "data set": "Remove it with `midataset remove {key}`."}


def _visible(text: object) -> str:
    """The text in one line, whatever another program has written there."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(text))


class BrokenDocument(MiTorchError):
    """A stored document is invalid. `key`: its `_id`, of any type."""

    def __init__(self, kind: str, key: Any, reason: str) -> None:
        self.kind = kind
        self.key = key
        self.reason = reason
        told = f"The {kind} {_visible(key)} in the database cannot be read: {_visible(reason)}. {self._remedy()}"
        super().__init__(told.strip())

    def _remedy(self) -> str:
        return _REPAIRS.get(self.kind, "").format(key=_visible(self.key))


class NewerDocument(BrokenDocument):
    """A stored document has a form that this version does not know: it is left as it is."""

    def __init__(self, kind: str, key: Any, schema: object, known: int) -> None:
        shown = str(schema)[:_SHOWN]
        reason = f"a newer version of MiTorch wrote it (schema {shown}; this one knows {known}); it is left as it is"
        super().__init__(kind, key, reason)

    def _remedy(self) -> str:
        return "Upgrade mitorch-service on this machine."


class StoreError(MiTorchError):
    """The database refused an operation; repeating it would not help."""

    def __init__(self, where: str, problem: str, remedy: str) -> None:
        super().__init__(f"Database {where}: {problem}. {remedy}")


class NoDatabase(StoreError):
    """There is no database yet where the settings name one."""

    def __init__(self, where: str) -> None:
        remedy = "Check MITORCH_DB_URI and MITORCH_HOME; the first misubmit or midataset register creates it."
        super().__init__(where, "there is none yet", remedy)


class StoreUnavailable(StoreError):
    """The database cannot be reached now; the same call may succeed later."""


class AccessRefused(StoreError):
    """The database refuses its user for now: a right or a password was changed, or it is read-only. Repeating the call
    helps once a person has acted, so that what runs waits for it, and a command does not."""


DATABASE_TROUBLE = (StoreUnavailable, AccessRefused)  # waited for by whatever runs on, such as a training or passes


class QueryTimedOut(StoreError):
    """A query was ended at the limit of time that its caller had set."""

    def __init__(self, where: str, seconds: float) -> None:
        super().__init__(
            where,
            f"a query took longer than {seconds:g} s",
            "Ask for less: filter by status, job or data set. If it is so for everything, see `mitorch doctor`.",
        )


class ServerError(MiTorchError):
    """A viewer's API could not answer a call of the Python client; repeating it would not help."""

    def __init__(self, where: str, problem: str, remedy: str) -> None:
        super().__init__(f"Viewer {where}: {problem}. {remedy}".strip())


class ServerUnavailable(ServerError):
    """A viewer cannot be reached now; the same call may succeed later."""


class CvatError(MiTorchError):
    """A CVAT server cannot be reached, or refuses what it is asked for. `where`: its address, without credentials."""

    def __init__(self, where: str, problem: str, remedy: str) -> None:
        super().__init__(f"CVAT {where}: {problem}. {remedy}")


class ArtifactError(MiTorchError):
    """A file could not be read from or written to the artifact store."""

    def __init__(self, key: str, where: str, problem: str) -> None:
        self.where = where
        self.problem = problem
        super().__init__(f"Artifact {key} at {where}: {problem}")


class InvalidKey(ArtifactError):
    """No file can be stored under the key, now or later."""


class BackendError(MiTorchError):
    """A cluster could not execute an operation; repeating it would not help."""

    def __init__(self, cluster: str, problem: str, remedy: str) -> None:
        self.cluster = cluster
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"Cluster {cluster}: {problem}. {remedy}")


class RunRefused(BackendError):
    """A cluster refused to start a run, and the run certainly does not exist.

    `of_request`: the cause may be the request itself, rather than the cluster or its settings.
    """

    def __init__(self, cluster: str, problem: str, remedy: str, of_request: bool = False) -> None:
        self.of_request = of_request
        super().__init__(cluster, problem, remedy)


class BackendUnavailable(BackendError):
    """A cluster cannot be reached now; the same call may succeed later."""


class NoCapacity(BackendUnavailable):
    """A cluster has no free slot for another run."""

    def __init__(self, cluster: str) -> None:
        super().__init__(cluster, "no free slot", "The training stays queued and is assigned later.")


class MachineTrouble(MiTorchError):
    """The disk of this machine or the artifact store cannot be written, which is no training's fault; nor is it that
    the storage of its data set refuses it (`of_data`). `kept`: what was trained is on this machine, and is delivered
    later."""

    def __init__(self, problem: str, kept: bool = False, of_data: bool = False) -> None:
        self.kept = kept
        self.of_data = of_data
        super().__init__(problem)


class DataError(MiTorchError):
    """A data set's file is missing, damaged or inconsistent; the user must repair it."""


class DataRefused(DataError):
    """The storage of a data set refuses the credential: it has expired, was revoked or lacks a permission."""


class ModelError(MiTorchError):
    """A model cannot be built from its config."""


class TrainingDiverged(MiTorchError):
    """A loss is not finite. `gradient_norm`: of the step before; `last_losses`: the finite ones before, newest last."""

    def __init__(
        self,
        epoch: int,
        step: int,
        loss: float,
        learning_rate: float,
        gradient_norm: float | None = None,
        last_losses: Sequence[float] = (),
    ) -> None:
        self.epoch = epoch
        self.step = step
        self.loss = loss
        self.learning_rate = learning_rate
        self.gradient_norm = gradient_norm
        self.last_losses = tuple(last_losses)
        known = [f"learning rate {learning_rate:.3g}"]
        known += [f"gradient norm {gradient_norm:.3g}"] if gradient_norm is not None else []
        known += [f"losses before it {', '.join(f'{one:.4g}' for one in self.last_losses)}"] if self.last_losses else []
        super().__init__(
            f"The loss became {loss} in epoch {epoch}, step {step} ({'; '.join(known)}). "
            "Lower lr_scheduler.base_lr, or add a warm-up."
        )


class ProcessLost(MiTorchError):
    """A process of a distributed training no longer answers another one."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The processes of this training can no longer reach each other ({problem}). Usually one of them has "
            "ended: the end of its output says why. Start the training again: it resumes from its last checkpoint."
        )


class MissingExtra(MiTorchError):
    """A heavy package that this command needs is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"The package {package} is not installed here. Install it with: {self.command(extra)}")

    @staticmethod
    def command(extra: str) -> str:
        """Returns the command that installs an extra beside this package, be it a clone's or a wheel's: another
        Python's pip would look for the package on the index."""
        return f"{shlex.quote(sys.executable or 'python')} -m pip install 'mitorch-service[{extra}]'"
