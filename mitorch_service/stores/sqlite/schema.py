"""The tables of the SQLite store: each document as JSON text, beside it the columns that queries use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mitorch_service.models.status import ENDED, TrainingStatus
from mitorch_service.stores.requests import Collection

VERSION = 14


@dataclass(frozen=True)
class Table:
    """One collection: which dotted paths are columns, and which top-level field is kept apart because it is big."""

    columns: dict[str, str]  # path -> column
    apart: str | None = None
    times: frozenset[str] = frozenset()  # paths whose columns hold milliseconds since 1970: texts of times do not sort


TABLES: dict[Collection, Table] = {
    "trainings": Table(
        {
            "status": "status",
            "priority": "priority",
            "arrival": "arrival",
            "job_id": "job_id",
            "trial.value": "trial_value",
            "trial.unmerged": "unmerged",
            "dataset.name": "dataset_name",
            "dataset.version": "dataset_version",
            "shares.user": "share_user",
            "shares.team": "share_team",
            "name": "name",
            "announce_end": "announce_end",
            "created_at": "created_at",
            "ended_at": "ended_at",
        },
        apart="config",
        times=frozenset({"created_at", "ended_at"}),
    ),
    "jobs": Table(
        {
            "status": "status",
            "priority": "priority",
            "arrival": "arrival",
            "name": "name",
            "announce_end": "announce_end",
            "recount_due": "recount_due",
        },
        apart="config",
    ),
    "datasets": Table({"name": "name", "version": "version"}),
    "training_results": Table({}),
    "controllers": Table({}),
    "notifications": Table({"webhook": "webhook", "state": "state", "due": "due"}),
    "callbacks": Table({"due": "due"}),
    "views": Table({}),
    "rungs": Table({"job_id": "job_id", "bracket": "bracket", "epochs": "epochs", "loss": "loss", "paused": "paused"}),
}

# Counting a million rows takes a second, so triggers keep the counts of each status: of all trainings (job_id '') and
# of each job. They change in the transaction of what they count.
_TOTAL = "UPDATE training_counts SET n = n {by} WHERE job_id = '' AND status = {row}.status;"
_OF_JOB = (
    "INSERT INTO training_counts VALUES ({row}.job_id, coalesce({row}.status, ''), 0{by})"
    " ON CONFLICT (job_id, status) DO UPDATE SET n = n {by};"
)


def _trigger(name: str, event: str, *changes: tuple[str, str]) -> Iterator[str]:
    """The triggers that keep the counts at one kind of event; `changes`: a row (OLD or NEW), and by how much it
    counts."""
    for of_job, statement in ((False, _TOTAL), (True, _OF_JOB)):
        row = changes[0][0]
        when = f"WHEN {row}.job_id IS NOT NULL" if of_job else ""
        body = " ".join(statement.format(row=row, by=by) for row, by in changes)
        yield f"CREATE TRIGGER {name}{'_of_job' * of_job} AFTER {event} ON trainings {when} BEGIN {body} END"


_RUNGS = (
    """CREATE TABLE rungs (
    _id TEXT PRIMARY KEY, job_id TEXT, bracket INTEGER, epochs INTEGER, loss REAL, body TEXT NOT NULL
)""",
    "CREATE INDEX rungs_standing ON rungs (job_id, bracket, epochs, loss)",
)
_UNMERGED = (
    "ALTER TABLE trainings ADD COLUMN unmerged TEXT",
    "CREATE INDEX trainings_unmerged ON trainings (unmerged) WHERE unmerged IS NOT NULL",
)
_PAUSED = (
    "ALTER TABLE rungs ADD COLUMN paused INTEGER",
    "CREATE INDEX rungs_paused ON rungs (job_id, bracket, paused, epochs, loss, _id)",
    "DROP INDEX rungs_standing",
    "CREATE INDEX rungs_standing ON rungs (job_id, bracket, epochs, loss, _id)",
)
_PAUSED_STATUS = ("INSERT OR IGNORE INTO training_counts VALUES ('', 'paused', 0)",)
_NAMES = tuple(
    statement.format(table=table)
    for table in ("trainings", "jobs")
    for statement in (
        "ALTER TABLE {table} ADD COLUMN name TEXT",
        "UPDATE {table} SET name = json_extract(body, '$.name') WHERE json_valid(body)",
        "CREATE INDEX {table}_name ON {table} (name, arrival, _id) WHERE name IS NOT NULL",
    )
)
_CONTROLLERS = ("CREATE TABLE IF NOT EXISTS controllers (_id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID",)
_NOTIFICATIONS = (
    """CREATE TABLE notifications (
    _id TEXT PRIMARY KEY, webhook TEXT, state TEXT, due INTEGER, body TEXT NOT NULL
)""",
    "CREATE INDEX notifications_due ON notifications (webhook, state, due, _id)",
    *(
        statement.format(table=table)
        for table in ("trainings", "jobs")
        for statement in (
            "ALTER TABLE {table} ADD COLUMN announce_end INTEGER",
            "CREATE INDEX {table}_announce_end ON {table} (announce_end, status) WHERE announce_end IS NOT NULL",
        )
    ),
)
_OLD_PAUSES = (  # paused trials were stored as pruned; a body with NaN is no JSON to SQLite, and is only read as paused
    """UPDATE trainings SET status = 'paused', body = json_patch(body, json_object('status', 'paused', 'status_times',
    json_object('pruned', NULL, 'paused',
        coalesce(json_extract(body, '$.status_times.paused'), json_extract(body, '$.status_times.pruned')))))
    WHERE status = 'pruned' AND CASE WHEN json_valid(body)
        THEN coalesce(json_extract(body, '$.trial.pause_at'), json_extract(body, '$.trial.until')) END IS NOT NULL""",
)
_JOB_TAGS = (
    """CREATE TABLE IF NOT EXISTS job_tags (
    tag TEXT, arrival INTEGER, _id TEXT, PRIMARY KEY (tag, arrival, _id)
) WITHOUT ROWID""",
    """INSERT OR IGNORE INTO job_tags SELECT tag.value, jobs.arrival, jobs._id FROM jobs,
    json_each(CASE WHEN json_valid(jobs.body) THEN jobs.body ELSE '{}' END, '$.tags') AS tag WHERE tag.type = 'text'""",
)
# Python writes numbers that are not finite as words, which are no JSON to SQLite.
_READABLE = "replace(replace(replace(body, '-Infinity', 'null'), 'Infinity', 'null'), 'NaN', 'null')"
_CREATED, _END = (f"json_extract({_READABLE}, {path})" for path in ("'$.created_at'", "'$.status_times.' || status"))
_MILLISECONDS = "CAST(round((julianday({}) - 2440587.5) * 86400000) AS INTEGER)"
_ENDED = ", ".join(f"'{status}'" for status in ENDED)
_TIMES = (
    "ALTER TABLE trainings ADD COLUMN created_at INTEGER",
    "ALTER TABLE trainings ADD COLUMN ended_at INTEGER",
    f"UPDATE trainings SET created_at = {_MILLISECONDS.format(_CREATED)} WHERE json_valid({_READABLE})",
    f"""UPDATE trainings SET ended_at = {_MILLISECONDS.format(_END)},
    body = substr(body, 1, length(body) - 1) || ',"ended_at":' || json_quote({_END}) || '}}'
    WHERE status IN ({_ENDED}) AND CASE WHEN json_valid({_READABLE}) THEN {_END} END IS NOT NULL""",
    "CREATE INDEX trainings_created ON trainings (created_at, arrival, _id)",
    "CREATE INDEX trainings_ended ON trainings (ended_at, arrival, _id) WHERE ended_at IS NOT NULL",
)
_VIEWS = ("CREATE TABLE views (_id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID",)
_DATASET_VERSIONS = (
    "ALTER TABLE trainings ADD COLUMN dataset_version INTEGER",
    f"""UPDATE trainings SET dataset_version = json_extract({_READABLE}, '$.dataset.version')
    WHERE json_valid({_READABLE})""",
    """CREATE INDEX trainings_queue_dataset
    ON trainings (status, dataset_name, dataset_version, priority, arrival, _id)""",
)
_TAG_VALUE = """(SELECT substr(value, instr(value, '=') + 1) FROM json_each({body}, '$.tags')
    WHERE type = 'text' AND substr(value, 1, 5) = '{key}=' ORDER BY key LIMIT 1)"""
_SHARES = (
    "ALTER TABLE trainings ADD COLUMN share_user TEXT",
    "ALTER TABLE trainings ADD COLUMN share_team TEXT",
    f"""UPDATE trainings SET
    share_user = coalesce(nullif({_TAG_VALUE.format(body=_READABLE, key="user")}, ''),
        json_extract({_READABLE}, '$.submitted_by'), ''),
    share_team = coalesce({_TAG_VALUE.format(body=_READABLE, key="team")}, '')
    WHERE json_valid({_READABLE})""",
    f"""UPDATE trainings SET body = substr(body, 1, length(body) - 1) || ',"shares":' ||
    json_object('user', share_user, 'team', share_team) || '}}'
    WHERE share_user IS NOT NULL AND json_type({_READABLE}, '$.shares') IS NULL""",
    "CREATE INDEX trainings_share_user ON trainings (status, share_user, priority, arrival, _id)",
    "CREATE INDEX trainings_share_team ON trainings (status, share_team, priority, arrival, _id)",
)
_CALLBACKS = (
    "CREATE TABLE callbacks (_id TEXT PRIMARY KEY, due INTEGER, body TEXT NOT NULL)",
    "CREATE INDEX callbacks_due ON callbacks (due, _id)",
)
_RECOUNTS = (
    "ALTER TABLE jobs ADD COLUMN recount_due INTEGER",
    "CREATE INDEX jobs_recount_due ON jobs (recount_due) WHERE recount_due IS NOT NULL",
)
# version -> what it adds to the one before
_NEW_IN = {
    2: _RUNGS,
    3: _UNMERGED,
    4: _PAUSED,
    5: _PAUSED_STATUS,
    6: _NAMES,
    7: _CONTROLLERS,
    8: (*_OLD_PAUSES, *_JOB_TAGS),
    9: _NOTIFICATIONS,
    10: (*_TIMES, *_VIEWS),
    11: _DATASET_VERSIONS,
    12: _SHARES,
    13: _CALLBACKS,
    14: _RECOUNTS,
}

DDL = (
    """CREATE TABLE trainings (
    _id TEXT PRIMARY KEY, status TEXT, priority INTEGER, arrival INTEGER, job_id TEXT, trial_value REAL,
     dataset_name TEXT, config TEXT, body TEXT NOT NULL
)""",
    "CREATE INDEX trainings_queue ON trainings (status, priority, arrival, _id)",
    "CREATE INDEX trainings_newest ON trainings (arrival, _id)",
    "CREATE INDEX trainings_status ON trainings (status, arrival, _id)",
    "CREATE INDEX trainings_job ON trainings (job_id, arrival, _id) WHERE job_id IS NOT NULL",
    "CREATE INDEX trainings_job_status ON trainings (job_id, status) WHERE job_id IS NOT NULL",
    "CREATE INDEX trainings_job_value ON trainings (job_id, trial_value, _id) WHERE trial_value IS NOT NULL",
    "CREATE INDEX trainings_dataset ON trainings (dataset_name, arrival, _id)",
    """CREATE TABLE training_tags (
    tag TEXT, arrival INTEGER, _id TEXT, PRIMARY KEY (tag, arrival, _id)
) WITHOUT ROWID""",
    """CREATE TABLE jobs (
    _id TEXT PRIMARY KEY, status TEXT, priority INTEGER, arrival INTEGER, config TEXT, body TEXT NOT NULL
)""",
    "CREATE INDEX jobs_status ON jobs (status, priority, arrival)",
    "CREATE INDEX jobs_newest ON jobs (arrival, _id)",
    "CREATE TABLE datasets (_id TEXT PRIMARY KEY, name TEXT, version INTEGER, body TEXT NOT NULL)",
    "CREATE INDEX datasets_name ON datasets (name, version DESC)",
    "CREATE TABLE training_results (_id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE training_counts (
    job_id TEXT, status TEXT, n INTEGER NOT NULL, PRIMARY KEY (job_id, status)
) WITHOUT ROWID""",
    "INSERT INTO training_counts VALUES " + ", ".join(f"('', '{status}', 0)" for status in TrainingStatus),
    *_trigger("training_added", "INSERT", ("NEW", "+1")),
    *_trigger("training_deleted", "DELETE", ("OLD", "-1")),
    *_trigger("training_moved", "UPDATE OF status", ("OLD", "-1"), ("NEW", "+1")),
    "CREATE TRIGGER job_deleted AFTER DELETE ON jobs BEGIN DELETE FROM training_counts WHERE job_id = OLD._id; END",
    *_RUNGS,
    *_UNMERGED,
    *_PAUSED,
    *_CONTROLLERS,
    *_NAMES,
    *_JOB_TAGS,
    *_NOTIFICATIONS,
    *_TIMES,
    *_VIEWS,
    *_DATASET_VERSIONS,
    *_SHARES,
    *_CALLBACKS,
    *_RECOUNTS,
)


def statements(version: int) -> tuple[str, ...]:
    """The statements that bring the tables of an earlier version up to date; 0: an empty file."""
    if version == 0:
        return DDL
    return tuple(sql for later in range(version + 1, VERSION + 1) for sql in _NEW_IN[later])
