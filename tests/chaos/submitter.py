"""The process that submits, as users do, and is killed as everything else: python -m tests.chaos.submitter FOLDER
TRAININGS SEED. It goes on where the one before was killed, until there is a file `enough`."""

from __future__ import annotations

import sys
import time
from itertools import islice
from pathlib import Path

from mitorch_service.client.client import Client
from mitorch_service.errors import MiTorchError, NoDatabase, NotAllowed, StoreUnavailable
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.wiring import open_store
from tests.chaos.folders import SLOTS, Folders
from tests.chaos.workload import is_canceled, items

ACCEPTED, CANCELED, ENOUGH = "accepted.jsonl", "canceled.jsonl", "enough"
_QUEUE = 2 * SLOTS  # waiting trainings, above which the submitter waits
_WAIT_SECONDS = 0.3
_CANCELED_AFTER = 3  # submissions


def main(folder: Path, trainings: int, seed: int) -> None:
    """Submits until somebody has created the file `enough`, and at least `trainings` are accepted."""
    folders = Folders(folder)
    done = sum(1 for _ in folders.lines(ACCEPTED))
    with Client() as client:
        store = open_store(read_settings(), create=True)
        for name, config in islice(items(folders.program, folders.notes, trainings, seed), done, None):
            while _waits(store):
                time.sleep(_WAIT_SECONDS)
            if (folder / ENOUGH).exists() and done >= trainings:
                return
            folders.append(ACCEPTED, name=name, id=_submit(client, name, config))
            done += 1
            _cancel(client, folders)


def _submit(client: Client, name: str, config: dict[str, object]) -> str:
    while True:
        try:
            return str(client.submit(config, name=name).id)
        except StoreUnavailable as error:
            print(error, flush=True)
            time.sleep(_WAIT_SECONDS)


def _waits(store: Store) -> bool:
    """Whether enough is waiting, or the database does not answer."""
    try:
        return store.trainings.count_trainings().get("new", 0) >= _QUEUE
    except NoDatabase:
        return False
    except StoreUnavailable:
        return True


def _cancel(client: Client, folders: Folders) -> None:
    """Orders the cancellations that are due; each is noted before, as this may be killed after it."""
    ordered = {line["id"] for line in folders.lines(CANCELED)}
    accepted = [*folders.lines(ACCEPTED)]
    for line in accepted[:-_CANCELED_AFTER]:
        if is_canceled(line["name"]) and line["id"] not in ordered:
            folders.append(CANCELED, id=line["id"])
            try:
                client.cancel(line["id"])
            except (NotAllowed, StoreUnavailable) as error:  # it has ended; not asked again
                print(error, flush=True)
            except MiTorchError as error:
                print(f"UNFORESEEN {error}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
