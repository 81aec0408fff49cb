"""Runs Optuna's own command on our database: `python -m mitorch_service.optuna_storage.cli studies`.

Without `--storage` it uses the database of the settings. The private function is replaced because Optuna's command
offers no other way to use a storage that is not Optuna's.
"""

from __future__ import annotations

import sys

from mitorch_service.errors import MiTorchError
from mitorch_service.optuna_storage.storage import MiTorchStorage


def main() -> int:
    """Returns the exit code of Optuna's command, or that of our error, which it prints."""
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
