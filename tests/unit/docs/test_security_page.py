"""The rights that docs/security.md says MongoDB must give, against the driver's methods that the stores call."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from pymongo.collection import Collection
from pymongo.database import Database

ROOT = Path(__file__).resolve().parents[3]
# https://www.mongodb.com/docs/manual/reference/privilege-actions/
ACTIONS: dict[str, set[str]] = {
    "aggregate": {"find"},  # without $out and $merge
    "bulk_write": {"insert", "update", "remove"},
    "command": set(),  # hello and buildInfo need none
    "count_documents": {"find"},
    "create_indexes": {"createIndex"},
    "delete_many": {"remove"},
    "find": {"find"},
    "find_one": {"find"},
    "find_one_and_delete": {"find", "remove"},
    "find_one_and_replace": {"find", "insert", "update"},
    "find_one_and_update": {"find", "insert", "update"},
    "insert_many": {"insert"},
    "insert_one": {"insert"},
    "update_many": {"update"},
    "update_one": {"insert", "update"},
    "with_options": set(),  # asks nothing
}
NOT_THE_DRIVERS = {"update", "name"}  # of dict and Counter; of a server's description


def called() -> set[str]:
    """The methods of the driver's collections and databases that stores/mongo calls."""
    methods = {name for kind in (Collection, Database) for name in dir(kind) if not name.startswith("_")}
    found = set()
    for file in (ROOT / "mitorch_service/stores/mongo").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in methods - NOT_THE_DRIVERS:
                found.add(node.attr)
    return found


def test_the_role_has_the_actions_of_what_the_stores_call_and_no_other() -> None:
    role = re.search(r"actions: \[([^]]*)\]", (ROOT / "docs/security.md").read_text())
    assert role is not None
    named = set(re.findall(r'"(\w+)"', role[1]))
    unknown = called() - ACTIONS.keys()
    assert not unknown, f"which privilege actions do these need? {sorted(unknown)}"
    assert named == set().union(*(ACTIONS[method] for method in called()))
