"""SQLite files as earlier versions left them: what later ones added is taken out."""

from __future__ import annotations

import sqlite3


def forget_times(database: sqlite3.Connection) -> None:
    """Takes out what versions 10 to 14 add."""
    database.execute("DROP INDEX jobs_recount_due")
    database.execute("ALTER TABLE jobs DROP COLUMN recount_due")
    database.execute("DROP TABLE callbacks")
    for by in ("user", "team"):
        database.execute(f"DROP INDEX trainings_share_{by}")
        database.execute(f"ALTER TABLE trainings DROP COLUMN share_{by}")
    database.execute("DROP INDEX trainings_queue_dataset")
    database.execute("ALTER TABLE trainings DROP COLUMN dataset_version")
    for name in ("created", "ended"):
        database.execute(f"DROP INDEX trainings_{name}")
        database.execute(f"ALTER TABLE trainings DROP COLUMN {name}_at")
    database.execute("DROP TABLE views")


def forget_notifications(database: sqlite3.Connection) -> None:
    """Takes out what version 9 adds."""
    database.execute("DROP TABLE notifications")
    for table in ("trainings", "jobs"):
        database.execute(f"DROP INDEX {table}_announce_end")
        database.execute(f"ALTER TABLE {table} DROP COLUMN announce_end")
