"""Commands, each answered by one SQL function or by the gateway itself."""

import asyncio
import datetime
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import asyncpg
import bson

from . import wire
from .engine import UNAVAILABLE, Engine
from .errors import (
    COMMAND_NOT_FOUND,
    CURSOR_NOT_FOUND,
    ILLEGAL_OPERATION,
    MAX_TIME_EXPIRED,
    NAMESPACE_EXISTS,
    NAMESPACE_NOT_FOUND,
    CommandError,
    from_packed,
    from_sqlstate,
    with_mongo_codes,
)
from .explain import explain

VERSION = (7, 0, 0)
OK = bson.encode({"ok": 1.0})
# What is between driver and server only; the engine knows nothing of it.
SESSION_FIELDS = {
    "$db", "lsid", "$clusterTime", "txnNumber", "$readPreference", "readConcern", "writeConcern",
    "apiVersion", "apiStrict", "apiDeprecationErrors",
}  # fmt: skip
SEQUENCES = {"insert": "documents", "update": "updates", "delete": "deletes"}

Handler = Callable[["Commands", str, wire.Request], Awaitable[bytes]]


def spec_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The command as the engine takes it."""
    return {name: value for name, value in body.items() if name not in SESSION_FIELDS}


def encoded_spec_of(body: Mapping[str, Any]) -> bytes:
    """The same, in BSON."""
    return bson.encode(spec_of(body))


def time_limit(body: Mapping[str, Any]) -> float | None:
    """The client's maxTimeMS, in seconds."""
    return body["maxTimeMS"] / 1000 if body.get("maxTimeMS") else None


def hello() -> dict[str, Any]:
    """A standalone server's hello."""
    return {
        "helloOk": True,
        "ismaster": True,
        "isWritablePrimary": True,
        "maxBsonObjectSize": 16 * 1024 * 1024,
        "maxMessageSizeBytes": wire.MAX_MESSAGE_BYTES,
        "maxWriteBatchSize": 25_000,
        "localTime": datetime.datetime.now(datetime.UTC),
        "logicalSessionTimeoutMinutes": 30,
        "minWireVersion": 0,
        "maxWireVersion": 21,
        "readOnly": False,
    }


def build_info() -> dict[str, Any]:
    """The version of MongoDB this comes closest to."""
    return {
        "version": ".".join(map(str, VERSION)),
        "versionArray": [*VERSION, 0],
        "modules": ["documentdb"],
        "bits": 64,
        "maxBsonObjectSize": 16 * 1024 * 1024,
    }


OWN_ANSWERS: dict[str, Callable[[], dict[str, Any]]] = {
    "hello": hello,
    "ismaster": hello,
    "buildinfo": build_info,
    "serverstatus": lambda: {"process": "mongodb_gateway", **build_info()},
    "getparameter": lambda: {"featureCompatibilityVersion": {"version": "7.0"}},
    "getlog": lambda: {"totalLinesWritten": 0, "log": []},
    "getcmdlineopts": lambda: {"argv": ["mongodb_gateway"], "parsed": {}},
    "connectionstatus": lambda: {"authInfo": {"authenticatedUsers": [], "authenticatedUserRoles": []}},
    **dict.fromkeys(("ping", "endsessions", "killsessions", "refreshsessions"), dict),
}
FIND_AND_MODIFY = "SELECT p_result::bytea FROM documentdb_api.find_and_modify($1, $2::bytea)"
# Command -> SQL; $1 is the database, $2 the command's spec.
SQL = {
    "count": "SELECT document::bytea FROM documentdb_api.count_query($1, $2::bytea)",
    "distinct": "SELECT document::bytea FROM documentdb_api.distinct_query($1, $2::bytea)",
    "dropindexes": "SELECT documentdb_api_internal.drop_indexes_non_concurrently($1, $2::bytea)::bytea",
    "validate": "SELECT document::bytea FROM documentdb_api.validate($1, $2::bytea)",
}
CURSORS = {
    "find": "find",
    "aggregate": "aggregate",
    "listcollections": "list_collections",
    "listindexes": "list_indexes",
}


class Commands:
    """Answers commands over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def answer(self, request: wire.Request) -> bytes:
        """The encoded answer; errors of the command included, lost connections to the engine not."""
        try:
            return await self._dispatch(request)
        except CommandError as error:
            return error.encode()
        except TimeoutError:
            return CommandError(MAX_TIME_EXPIRED, "operation exceeded time limit").encode()
        except UNAVAILABLE:
            raise
        except asyncpg.PostgresError as error:
            return from_sqlstate(error.sqlstate, str(error)).encode()

    async def _dispatch(self, request: wire.Request) -> bytes:
        command = next(iter(request.body))
        name, database = command.lower(), str(request.body.get("$db", "admin"))
        if name in OWN_ANSWERS:
            return bson.encode({**OWN_ANSWERS[name](), "ok": 1.0})
        if request.body.get("startTransaction") or "autocommit" in request.body:
            raise CommandError(ILLEGAL_OPERATION, "Transaction numbers are only allowed on a replica set member")
        if name in SEQUENCES:
            return await self._write(name, database, request)
        if name in CURSORS:
            limit = time_limit(request.body)
            return await self._engine.first_page(CURSORS[name], database, encoded_spec_of(request.body), limit)
        if name in SQL:
            limit = time_limit(request.body)
            return with_mongo_codes(await self._value(SQL[name], database, encoded_spec_of(request.body), limit))
        if name in HANDLERS:
            return await HANDLERS[name](self, database, request)
        raise CommandError(COMMAND_NOT_FOUND, f"no such command: '{command}'")

    async def _value(self, sql: str, *arguments: Any) -> bytes:
        *parameters, limit = arguments
        return bytes(await self._engine.value(sql, *parameters, timeout=limit))

    async def _write(self, name: str, database: str, request: wire.Request) -> bytes:
        sql = f"SELECT p_result::bytea FROM documentdb_api.{name}($1, $2::bytea, $3::bytea)"
        operations = request.sequences.get(SEQUENCES[name])
        limit = time_limit(request.body)
        return with_mongo_codes(await self._value(sql, database, encoded_spec_of(request.body), operations, limit))

    async def find_and_modify(self, database: str, request: wire.Request) -> bytes:
        """Find first, when there is an order: the engine's own function would sort all that match."""
        spec = spec_of(request.body)
        limit = time_limit(request.body)
        query = spec.get("query", {})
        while spec.get("sort"):
            candidates = await self._first_ids(database, spec, query)
            if not candidates:
                break  # nothing to change, or one to upsert
            for candidate in candidates:
                narrowed = {**spec, "query": {"$and": [candidate, query]}, "upsert": False}
                del narrowed["sort"]
                answer = await self._value(FIND_AND_MODIFY, database, bson.encode(narrowed), limit)
                if bson.decode(answer, wire.RAW).get("value") is not None:
                    return answer
        return with_mongo_codes(await self._value(FIND_AND_MODIFY, database, bson.encode(spec), limit))

    async def _first_ids(self, database: str, spec: Mapping[str, Any], query: Any) -> list[Any]:
        """A few of the first that match, as {_id: ...}: others may take them away meanwhile."""
        collection = spec[next(iter(spec))]
        find = {
            "find": collection,
            "filter": query,
            "sort": spec["sort"],
            "limit": 8,
            "projection": {"_id": 1},
        }
        if "hint" in spec:
            find["hint"] = spec["hint"]
        page = await self._engine.first_page("find", database, bson.encode(find))
        return list(bson.decode(page, wire.RAW)["cursor"]["firstBatch"])

    async def get_more(self, database: str, request: wire.Request) -> bytes:
        """The next page of a cursor."""
        page = await self._engine.next_page(int(request.body["getMore"]), encoded_spec_of(request.body))
        if page is None:
            raise CommandError(CURSOR_NOT_FOUND, f"cursor id {request.body['getMore']} not found")
        return page

    async def kill_cursors(self, database: str, request: wire.Request) -> bytes:
        """Close cursors before their end."""
        killed: list[int] = []
        missing: list[int] = []
        for cursor_id in request.body["cursors"]:
            (killed if await self._engine.close_cursor(int(cursor_id)) else missing).append(cursor_id)
        answer = {
            "cursorsKilled": killed,
            "cursorsNotFound": missing,
            "cursorsAlive": [],
            "cursorsUnknown": [],
        }
        return bson.encode({**answer, "ok": 1.0})

    async def create_indexes(self, database: str, request: wire.Request) -> bytes:
        """Build indexes at once: the engine's own command leaves it to a background worker."""
        sql = "SELECT documentdb_api_internal.create_indexes_non_concurrently($1, $2::bytea, true)::bytea"
        answer = bson.decode(await self._value(sql, database, encoded_spec_of(request.body), None))
        result: dict[str, Any] = answer.get("raw", {}).get("defaultShard", answer)
        if not result.get("ok"):
            raise from_packed(result["code"], result["errmsg"])
        return bson.encode(result)

    async def create(self, database: str, request: wire.Request) -> bytes:
        """Create a plain collection, or with options such as viewOn whatever the engine makes of them."""
        spec = spec_of(request.body)
        if len(spec) > 1:
            sql = "SELECT documentdb_api.create_collection_view($1, $2::bytea)::bytea"
            return await self._value(sql, database, bson.encode(spec), None)
        created = await self._engine.value("SELECT documentdb_api.create_collection($1, $2)", database, spec["create"])
        if not created:
            raise CommandError(NAMESPACE_EXISTS, f"Collection {database}.{spec['create']} already exists.")
        return OK

    async def drop(self, database: str, request: wire.Request) -> bytes:
        """Drop a collection."""
        collection = request.body["drop"]
        if not await self._engine.value("SELECT documentdb_api.drop_collection($1, $2)", database, collection):
            raise CommandError(NAMESPACE_NOT_FOUND, "ns not found")
        return bson.encode({"ns": f"{database}.{collection}", "ok": 1.0})

    async def drop_database(self, database: str, request: wire.Request) -> bytes:
        """Drop a database, there or not."""
        await self._engine.row("SELECT documentdb_api.drop_database($1)", database)
        return bson.encode({"dropped": database, "ok": 1.0})

    async def coll_stats(self, database: str, request: wire.Request) -> bytes:
        """Sizes of a collection and its indexes."""
        sql = "SELECT documentdb_api.coll_stats($1, $2, $3)::bytea"
        collection, scale = request.body[next(iter(request.body))], float(request.body.get("scale", 1))
        return await self._value(sql, database, collection, scale, None)

    async def db_stats(self, database: str, request: wire.Request) -> bytes:
        """Sizes of a database."""
        sql = "SELECT documentdb_api.db_stats($1, $2)::bytea"
        return await self._value(sql, database, float(request.body.get("scale", 1)), None)

    async def list_databases(self, database: str, request: wire.Request) -> bytes:
        """All databases."""
        sql = "SELECT documentdb_api.list_databases($1::bytea)::bytea"
        return await self._value(sql, encoded_spec_of(request.body), None)

    async def explain(self, database: str, request: wire.Request) -> bytes:
        """The plan of a command."""
        verbosity = request.body.get("verbosity", "allPlansExecution")
        return await explain(self._engine, database, spec_of(request.body["explain"]), verbosity)


HANDLERS: dict[str, Handler] = {
    "findandmodify": Commands.find_and_modify,
    "getmore": Commands.get_more,
    "killcursors": Commands.kill_cursors,
    "createindexes": Commands.create_indexes,
    "create": Commands.create,
    "drop": Commands.drop,
    "dropdatabase": Commands.drop_database,
    "collstats": Commands.coll_stats,
    "dbstats": Commands.db_stats,
    "listdatabases": Commands.list_databases,
    "explain": Commands.explain,
}


async def serve(engine: Engine, port: int) -> None:
    """Listen on loopback until killed."""
    commands = Commands(engine)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await wire.read_request(reader)
                answer = await commands.answer(request)
                if request.wants_reply:
                    writer.write(wire.encode_reply(request, answer))
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away
        except (wire.ProtocolError, *UNAVAILABLE) as error:
            # As when mongod dies: the connection ends, and the driver says so to its caller.
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port, limit=2**20)
    async with server, asyncio.TaskGroup() as tasks:
        tasks.create_task(engine.close_idle_cursors())
        tasks.create_task(server.serve_forever())
