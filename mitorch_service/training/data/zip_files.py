"""The zip archives of a data set, opened when they are first asked for."""

from __future__ import annotations

from pathlib import Path

from mitorch_service.training.data.zip_index import ZipIndex


class ZipFiles:
    """Each archive's directory is read once. All raise OSError or BadZipFile for what is no archive."""

    def __init__(self) -> None:
        self._open: dict[str, ZipIndex] = {}

    def at(self, path: Path | str) -> ZipIndex:
        """The archive, which stays open."""
        name = str(path)
        if name not in self._open:
            self._open[name] = ZipIndex(Path(name))
        return self._open[name]

    def read(self, path: Path | str, entry: str) -> bytes:
        """The bytes of one entry. Raises KeyError, too."""
        return self.at(path).read(entry)

    def close(self) -> None:
        """Closes all. The next read opens again."""
        self._open.clear()
