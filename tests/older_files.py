"""SQLite files as earlier versions left them: what later ones added is taken out."""

from __future__ import annotations

import sqlite3


def forget_version_9(database: sqlite3.Connection) -> None:
    """Takes out the times of trainings and the saved views."""
    for name in ("created", "ended"):
        database.execute(f"DROP INDEX trainings_{name}")
        database.execute(f"ALTER TABLE trainings DROP COLUMN {name}_at")
    database.execute("DROP TABLE views")
