"""A number is raised in a range of documents, among which some cannot be read."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from mitorch_service.stores.sqlite.store import SqliteDatabase


def test_damaged_documents_stay_as_they_are(tmp_path: Path) -> None:
    with closing(SqliteDatabase(tmp_path / "test.db")) as database:
        database.insert("training_results", [{"_id": f"x:{number}", "attempt": number} for number in range(4)])
        with database._connection.transaction():
            database._connection.db.execute("UPDATE training_results SET body = '{\"attempt\": ' WHERE _id = 'x:0'")
        database.raise_between("training_results", "x:", "x:3", "attempt", 2)
        stored = dict(database._connection.rows("SELECT _id, body FROM training_results"))
    assert stored["x:0"] == '{"attempt": '
    assert [stored[f"x:{number}"].partition('"attempt":')[2][0] for number in (1, 2, 3)] == ["2", "2", "3"]
