"""Optuna's own command on our database: `python -m mitorch_service.optuna_storage.cli studies`.

Its `--storage` may be left out: then it is the database of the settings. Optuna's command knows only Optuna's storages,
and has no other way to be given one.
"""

from __future__ import annotations

import sys

from mitorch_service.errors import MiTorchError
from mitorch_service.optuna_storage.storage import MiTorchStorage


def main() -> int:
    """What Optuna's command returns, or 1 with our error."""
    from optuna import cli

    cli._get_storage = _open
    try:
        return cli.main()
    except MiTorchError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


def _open(storage_url: str | None, storage_class: str | None) -> MiTorchStorage:
    return MiTorchStorage(storage_url)


if __name__ == "__main__":
    sys.exit(main())
