"""Reads workloads in the Standard Workload Format, in which logs of supercomputers are published.

https://www.cs.huji.ac.il/labs/parallel/workload/swf.html: 18 numbers a line, -1 where unknown, after comments that
begin with a semicolon.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

from mitorch_service.controller.replay.work import Work
from mitorch_service.errors import InvalidInput, Problem

_FIELDS = 18
# positions of fields, counted from 0
_SUBMITTED, _SECONDS, _USED, _ASKED, _STATUS, _USER, _GROUP, _EXECUTABLE = 1, 3, 4, 7, 10, 11, 12, 13
_NEVER_RAN = "5"  # the status of a job that was canceled; with no run time it never held a node


def read_swf(name: str, lines: Iterable[str]) -> Iterator[Work]:
    """Yields the jobs that ran: nodes from processors by MaxProcs and MaxNodes of the header, if it has both; the group
    is the team, and the executable of a user says what takes about as long. Raises InvalidInput with the line."""
    header: dict[str, float] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text.startswith(";"):
            found = re.match(r";\s*(MaxProcs|MaxNodes):\s*(\d+)", text)
            header |= {found[1]: float(found[2])} if found else {}
        elif text:
            job = _job(name, number, text.split(), _processors_of_a_node(header))
            if job is not None:
                yield job


def _processors_of_a_node(header: dict[str, float]) -> float:
    nodes = header.get("MaxNodes", 0.0)
    return max(1.0, header.get("MaxProcs", 0.0) / nodes) if nodes else 1.0


def _job(name: str, number: int, fields: list[str], processors: float) -> Work | None:
    if len(fields) != _FIELDS:
        problem = f"has {len(fields)} fields, {_FIELDS} are needed"
        raise InvalidInput(name, [Problem(f"line {number}", problem)])
    try:
        values = [float(field) for field in fields]
    except ValueError as error:
        raise InvalidInput(name, [Problem(f"line {number}", f"is not of numbers ({error})")]) from None
    if not all(map(math.isfinite, values)):
        raise InvalidInput(name, [Problem(f"line {number}", "has a number that is not finite")])
    wanted = values[_USED] if values[_USED] > 0 else values[_ASKED]
    if values[_SECONDS] < 0 or wanted <= 0 or (fields[_STATUS] == _NEVER_RAN and values[_SECONDS] == 0):
        return None
    user, team = (_known(fields[position]) for position in (_USER, _GROUP))
    kind = f"user {user or '?'}, executable {_known(fields[_EXECUTABLE]) or '?'}"
    nodes = math.ceil(wanted / processors)
    return Work(max(0.0, values[_SUBMITTED]), values[_SECONDS], nodes, user, team, dataset=kind)


def _known(field: str) -> str:
    return "" if field.startswith("-") else field
