"""The explain command: PostgreSQL's plan, told the way MongoDB tells its own."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import bson

from .engine import Engine
from .errors import COMMAND_NOT_FOUND, CommandError

# The primary key leads with this column, equal in all of a collection: alone it narrows nothing.
WHOLE_COLLECTION = "shard_key_value ="
INDEX_SCANS = ("Index Scan", "Index Only Scan", "Bitmap Index Scan")
SCANS = (*INDEX_SCANS, "Seq Scan", "Bitmap Heap Scan", "Function Scan", "Sample Scan", "Tid Scan")


def explained_query(command: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The query function and its spec for the explained command; for a write, the find of its query."""
    name = next(iter(command))
    if name in ("find", "count", "distinct"):
        return name, dict(command)
    if name == "aggregate":
        return "pipeline", {"cursor": {}, **command}
    if name.lower() == "findandmodify":
        spec = {"find": command[name], "filter": command.get("query", {}), "limit": 1}
        return "find", spec | ({"sort": command["sort"]} if "sort" in command else {})
    if name in ("update", "delete"):
        operation = command["updates" if name == "update" else "deletes"][0]
        return "find", {"find": command[name], "filter": operation["q"]}
    raise CommandError(COMMAND_NOT_FOUND, f"Explain failed due to unknown command: {name}")


async def explain(engine: Engine, database: str, command: Mapping[str, Any], verbosity: str) -> bytes:
    """Explain a command, running it when the verbosity asks for its statistics."""
    function, spec = explained_query(command)
    analyze = verbosity != "queryPlanner"
    literal = database.replace("'", "''")
    sql = (
        f"EXPLAIN (FORMAT JSON, ANALYZE {analyze}, BUFFERS off)"
        f" SELECT document FROM documentdb_api_catalog.bson_aggregation_{function}('{literal}', $1::bytea)"
    )
    text = await engine.value(sql, bson.encode(spec))
    (report,) = json.loads(text)
    plan = report["Plan"]
    answer: dict[str, Any] = {"queryPlanner": {"winningPlan": winning_plan(plan, sorts="sort" in spec)}}
    if analyze:
        answer["executionStats"] = {
            "nReturned": round(plan["Actual Rows"]),
            "executionTimeMillis": report["Execution Time"],
            "totalDocsExamined": sum(_examined(node) for node in _nodes(plan) if node["Node Type"] in SCANS),
        }
    return bson.encode({**answer, "postgres": text, "ok": 1.0})


def winning_plan(plan: Mapping[str, Any], sorts: bool) -> dict[str, Any]:
    """IXSCAN when every scan is narrowed, or put in order, by an index; else COLLSCAN."""
    nodes = list(_nodes(plan))
    blocking = any(node["Node Type"] in ("Sort", "Incremental Sort") for node in nodes)
    leaves = [node for node in nodes if node["Node Type"] in SCANS and not node.get("Plans")]
    if any(node.get("Function Name") == "empty_data_table" for node in leaves):
        return {"stage": "EOF"}
    ordered = sorts and not blocking
    used = [node for node in leaves if _narrows(node) or (ordered and node["Node Type"] in INDEX_SCANS)]
    stage = "IXSCAN" if leaves and len(used) == len(leaves) else "COLLSCAN"
    told: dict[str, Any] = {"stage": stage}
    if stage == "IXSCAN":
        told["indexName"] = ", ".join(dict.fromkeys(node["Index Name"] for node in used))
    return told | {"blockingSort": blocking}


def _narrows(node: Mapping[str, Any]) -> bool:
    if node["Node Type"] not in INDEX_SCANS:
        return False
    condition = node.get("Index Cond", "")
    only_collection = WHOLE_COLLECTION in condition and " AND " not in condition
    return "Order By" in node or (bool(condition) and not only_collection)


def _examined(node: Mapping[str, Any]) -> int:
    rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return 0 if node["Node Type"] == "Bitmap Index Scan" else round(rows * node["Actual Loops"])


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
