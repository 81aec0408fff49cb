"""Chooses the files of a use case's versions: ``train_USECASE_STAMP.csv`` and ``test_USECASE_STAMP.csv``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mitorch_service.errors import Problem
from mitorch_service.interop.exp_config.exp_config_file import LATEST
from mitorch_service.wording.suggestion import did_you_mean


@dataclass(frozen=True)
class VersionPair:
    """The names of the two files."""

    train: str
    test: str

    @property
    def is_of_one_version(self) -> bool:
        """Whether both have the same stamp, so that no image is in both."""
        return _stamp(self.train) is not None and _stamp(self.train) == _stamp(self.test)


def choose_pair(
    use_case: str, train: str, test: str, names: Iterable[str], where: str
) -> tuple[VersionPair | None, list[Problem]]:
    """Returns the pair: for "latest" the newest stamp (yymmddHHMMSS) of which there are both, or that of the other name
    if one is given; if there is no such pair, the newest of each. `names`: what is in the folder `where`. Returns None
    with all problems."""
    known = set(names)
    stamps = {kind: _stamps(kind, use_case, known) for kind in ("train", "test")}
    given = {"train": None if train == LATEST else train, "test": None if test == LATEST else test}
    problems = [
        Problem(f"{kind.upper()}_CSV", f"{name!r} is not in {where}; {did_you_mean(name, sorted(known))}".rstrip("; "))
        for kind, name in given.items()
        if name is not None and name not in known
    ]
    for kind, name in given.items():
        if name is None and not stamps[kind]:
            expected = f"{kind}_{use_case}_yymmddHHMMSS.csv"
            problems.append(Problem(f"{kind.upper()}_CSV", f"there is no {expected} in {where}"))
    if problems:
        return None, problems
    stamp = next((found for name in given.values() if name and (found := _stamp(name))), None)
    common = max(stamps["train"].keys() & stamps["test"].keys(), default=None)
    chosen = {}
    for kind, name in given.items():
        wanted = stamp if stamp in stamps[kind] else common if stamp is None else None
        chosen[kind] = name or stamps[kind].get(wanted or "", None) or stamps[kind][max(stamps[kind])]
    return VersionPair(**chosen), []


def _stamps(kind: str, use_case: str, names: Iterable[str]) -> dict[str, str]:
    """The files of a kind by their stamps, which sort by time."""
    pattern = re.compile(rf"{kind}_{re.escape(use_case)}_(\d{{12}})\.csv")
    return {found[1]: name for name in names if (found := pattern.fullmatch(name))}


def _stamp(name: str) -> str | None:
    found = re.search(r"_(\d{12})\.csv\Z", name)
    return found[1] if found else None
