"""The settings that runs need, by variable, of which some are only asked for when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping


class RunSettings(Mapping[str, str]):
    """Settings of runs: `known` ones, and those that a call returns, such as an address that a cloud must be asked for.
    Reading one of the latter raises BackendError; their names are there without a call."""

    def __init__(self, known: Mapping[str, str], asked: Mapping[str, Callable[[], str]]) -> None:
        self.known = dict(known)
        self._asked = dict(asked)

    def __getitem__(self, name: str) -> str:
        return self._asked[name]() if name in self._asked else self.known[name]

    def __iter__(self) -> Iterator[str]:
        yield from {**self.known, **self._asked}

    def __len__(self) -> int:
        return len({**self.known, **self._asked})


def known_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings that can be read without a call."""
    return dict(settings.known if isinstance(settings, RunSettings) else settings)
