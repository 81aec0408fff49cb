"""A database file of several users: reading hinders nobody, and who may not write is told so in one sentence."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import StoreError, StoreUnavailable
from mitorch_service.file_access import PRIVATE
from mitorch_service.operations.diagnosis import Openers, diagnose
from mitorch_service.settings import read_settings
from mitorch_service.stores.sqlite.connection import SqliteConnection
from mitorch_service.stores.sqlite.files import SqliteFiles
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.wiring import open_store
from tests.fakes import FakeBackend
from tests.other_user import User, common_folder, needs_root
from tests.samples import a_training
from tests.small_disk import tmpfs

pytestmark = needs_root

TEAM = 54321
OWNER = User(54001, (TEAM,))
COLLEAGUE = User(54002, (TEAM,))
STRANGER = User(54003)


@pytest.fixture
def database() -> Iterator[Path]:
    """A database of OWNER that all may read, in a folder where all may make files."""
    with common_folder(OWNER) as folder:
        path = folder / "mitorch.db"
        OWNER.run(lambda: write(path))
        path.chmod(0o644)
        yield path


def write(path: Path) -> None:
    """Adds a training."""
    store = SqliteStore(path)
    store.queue.add_trainings([a_training()])
    store.close()


def count(path: Path) -> int:
    """Counts the trainings."""
    store = SqliteStore(path)
    number = len(store.queue.queue_head(1000).items)
    store.close()
    return number


def hold(path: Path, channel: socket.socket) -> None:
    """Adds a training each time that the test says so, with the database open all the time."""
    store = SqliteStore(path)
    while channel.recv(1):
        store.queue.add_trainings([a_training()])
        channel.sendall(b"+")
    store.close()


def say(channel: socket.socket) -> None:
    """Lets `hold` add one."""
    channel.sendall(b"+")
    assert channel.recv(1) == b"+"


def beside(path: Path) -> list[str]:
    """The files that SQLite has made."""
    return sorted(file.name for file in path.parent.iterdir() if file != path)


def test_a_strangers_read_leaves_nothing_and_the_owner_writes_on(database: Path) -> None:
    assert STRANGER.run(lambda: count(database)) == 1
    assert beside(database) == []
    OWNER.run(lambda: write(database))
    assert STRANGER.run(lambda: count(database)) == 2


def test_a_stranger_reads_what_its_owner_has_just_written(database: Path) -> None:
    with OWNER.running(lambda channel: hold(database, channel)) as owner:
        say(owner.channel)
        assert STRANGER.run(lambda: count(database)) == 2
        say(owner.channel)
        os.kill(owner.pid, signal.SIGKILL)
    assert STRANGER.run(lambda: count(database)) == 3
    OWNER.run(lambda: write(database))
    assert beside(database) == []
    assert STRANGER.run(lambda: count(database)) == 4


def test_a_store_that_is_open_to_read_follows_the_owner(database: Path) -> None:
    def follow(channel: socket.socket) -> list[int]:
        store = SqliteStore(database)
        counts = []
        while channel.recv(1):
            counts.append(len(store.queue.queue_head(10).items))
            channel.sendall(b"+")
        store.close()
        return counts

    with STRANGER.running(follow) as reader:
        say(reader.channel)
        OWNER.run(lambda: write(database))
        say(reader.channel)
        with OWNER.running(lambda channel: hold(database, channel)) as owner:
            say(owner.channel)
            say(reader.channel)
        say(reader.channel)
        reader.channel.shutdown(socket.SHUT_WR)
        assert reader.result() == [1, 2, 3, 3]
    OWNER.run(lambda: write(database))
    assert beside(database) == []


def test_a_reader_and_an_owner_who_comes_and_goes_never_hinder_each_other(database: Path) -> None:
    def write_often() -> None:
        for _ in range(50):
            write(database)

    def read(channel: socket.socket) -> list[int]:
        channel.setblocking(False)
        counts = []
        while True:
            counts.append(count(database))
            try:
                channel.recv(1)
                return counts
            except BlockingIOError:
                continue

    with STRANGER.running(read) as reader:
        OWNER.run(write_often)
        reader.channel.shutdown(socket.SHUT_WR)
        counts = reader.result()
    assert counts == sorted(counts)
    assert count(database) == 51


def readonly() -> sqlite3.OperationalError:
    """SQLite's error while another process sets up the files beside the database (SQLITE_READONLY_RECOVERY)."""
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY_RECOVERY
    return error


def test_a_reader_waits_for_what_an_owner_does_while_it_opens(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [sqlite3.DatabaseError("database disk image is malformed"), readonly()]
    opened = SqliteFiles._opened

    def hindered(files: SqliteFiles, how: str) -> sqlite3.Connection:
        if errors:
            raise errors.pop()
        return opened(files, how)

    monkeypatch.setattr(SqliteFiles, "_opened", hindered)
    assert STRANGER.run(lambda: (count(database), len(errors))) == (1, 0)


def test_a_reader_waits_for_what_an_owner_does_while_it_reads(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [readonly(), readonly()]
    execute = SqliteConnection._execute

    def hindered(connection: SqliteConnection, sql: str, values: Sequence[object]) -> list[object]:
        if errors:
            raise errors.pop()
        return execute(connection, sql, values)

    with OWNER.running(lambda channel: hold(database, channel)) as owner:
        say(owner.channel)
        monkeypatch.setattr(SqliteConnection, "_execute", hindered)
        assert STRANGER.run(lambda: (count(database), len(errors))) == (2, 0)


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of files, each of which its owner removes and makes anew when somebody asks for his rights to it: whoever
    looks before and after sees it there."""
    names: list[str] = []
    access = os.access

    def asked(file: Path, mode: int) -> bool:
        if Path(file).name in names:
            names.remove(Path(file).name)
            return False
        return access(file, mode)

    monkeypatch.setattr("mitorch_service.stores.sqlite.files.os.access", asked)
    return names


def test_a_file_that_its_owner_makes_anew_is_not_taken_for_one_that_this_user_may_not_write(
    database: Path, missing: list[str]
) -> None:
    with OWNER.running(lambda channel: hold(database, channel)) as owner:
        say(owner.channel)
        missing += beside(database)
        assert SqliteFiles(database, PRIVATE).refusal() is None
    assert missing == []


def test_a_file_that_its_owner_makes_anew_is_not_taken_for_one_that_this_user_may_not_read(
    database: Path, missing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, errors = SqliteFiles._opened, [readonly()]

    def hindered(files: SqliteFiles, how: str) -> sqlite3.Connection:
        if errors:
            missing.extend(beside(database))
            raise errors.pop()
        return opened(files, how)

    with OWNER.running(lambda channel: hold(database, channel)) as owner:
        say(owner.channel)
        monkeypatch.setattr(SqliteFiles, "_opened", hindered)
        assert STRANGER.run(lambda: (count(database), errors, missing)) == (2, [], [])


def empty_wal(path: Path, mode: int = 0o644) -> None:
    """Makes the file that SQLite makes for a reader if the owner has removed his a moment earlier."""
    wal = path.with_name(path.name + "-wal")
    wal.touch()
    wal.chmod(mode)


def test_a_file_that_was_made_for_a_killed_reader_is_removed_by_the_next_one(database: Path) -> None:
    STRANGER.run(lambda: empty_wal(database))
    with pytest.raises(StoreUnavailable, match=r"mitorch\.db-wal belongs to 54003:54003"):
        OWNER.run(lambda: write(database))
    assert STRANGER.run(lambda: count(database)) == 1
    assert beside(database) == []
    OWNER.run(lambda: write(database))


def test_a_file_that_is_made_while_a_reader_opens_does_not_stay(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = SqliteFiles._opened
    made: list[str] = []

    def raced(files: SqliteFiles, how: str) -> sqlite3.Connection:
        connection = opened(files, how)
        if not made:
            empty_wal(database)
            made.extend(beside(database))
        return connection

    monkeypatch.setattr(SqliteFiles, "_opened", raced)
    assert STRANGER.run(lambda: (count(database), made)) == (1, ["mitorch.db-wal"])
    assert beside(database) == []
    OWNER.run(lambda: write(database))


def test_an_owner_waits_for_a_file_that_a_reader_removes(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite finds it, may not write it, and cannot find it any more when it opens it to read."""
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    errors = [error, error]
    execute = SqliteConnection._execute

    def hindered(connection: SqliteConnection, sql: str, values: Sequence[object]) -> list[object]:
        if errors:
            raise errors.pop()
        return execute(connection, sql, values)

    monkeypatch.setattr(SqliteConnection, "_execute", hindered)
    OWNER.run(lambda: write(database))
    assert OWNER.run(lambda: count(database)) == 2


def test_a_file_that_was_made_for_a_reader_of_root_s_database_hinders_nobody(database: Path) -> None:
    os.chown(database, 0, 0)
    STRANGER.run(lambda: empty_wal(database))
    assert STRANGER.run(lambda: count(database)) == 1
    assert beside(database) == ["mitorch.db-wal"]
    write(database)
    assert beside(database) == []
    assert STRANGER.run(lambda: count(database)) == 2


@pytest.mark.parametrize(
    ("mode", "user", "removed"),
    [
        (0o644, OWNER, True),
        (0o664, OWNER, False),
        (0o646, OWNER, False),
        (0o644, STRANGER, False),
        (0o644, None, False),
    ],
)
def test_a_file_that_another_user_may_write_into_is_left_to_him(
    database: Path, mode: int, user: User | None, removed: bool
) -> None:
    """`user`: who has the database open; None is root."""
    memory = database.with_name(database.name + "-shm")
    memory.touch()
    if user is not None:
        os.chown(memory, user.number, user.number)
    STRANGER.run(lambda: empty_wal(database, mode))
    assert STRANGER.run(lambda: SqliteFiles(database, PRIVATE)._remove_own()) == removed
    assert ("mitorch.db-wal" in beside(database)) != removed


def test_a_damaged_database_is_told_as_such(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mitorch_service.stores.sqlite.files._READ_SECONDS", 0.05)
    with database.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3000)
    with pytest.raises(StoreError, match="malformed"):
        STRANGER.run(lambda: count(database))


def test_who_may_only_read_is_told_whose_it_is_and_how_to_share_it(database: Path) -> None:
    with pytest.raises(StoreError, match=r"mitorch\.db belongs to 54001:54001, mode 0644.*chgrp TEAM") as raised:
        STRANGER.run(lambda: write(database))
    assert not isinstance(raised.value, StoreUnavailable)
    assert count(database) == 1


def test_who_may_not_read_is_told_so(database: Path) -> None:
    database.chmod(0o600)
    with pytest.raises(StoreError, match=r"cannot be read by you: .*mode 0600"):
        STRANGER.run(lambda: count(database))


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_group_writes_together_in_a_folder_that_passes_no_group_on(umask: int) -> None:
    """SQLite gives its files the mode of the database, but the group of whoever is first."""
    colleague = User(COLLEAGUE.number, COLLEAGUE.groups, umask)
    with common_folder(OWNER, 0o770, TEAM) as folder:
        path = folder / "mitorch.db"
        OWNER.run(lambda: write(path))
        os.chown(path, OWNER.number, TEAM)
        path.chmod(0o660)
        with colleague.running(lambda channel: hold(path, channel)) as other:
            say(other.channel)
            OWNER.run(lambda: write(path))
            say(other.channel)
        assert count(path) == 4


def test_files_of_another_user_beside_it_are_named_and_hinder_no_reading(database: Path) -> None:
    """Earlier versions left them behind."""

    def read_as_sqlite_does() -> None:
        with sqlite3.connect(database) as raw:
            raw.execute("SELECT count(*) FROM trainings").fetchall()
        os._exit(0)  # without closing it

    def work(channel: socket.socket) -> str:
        store = SqliteStore(database)
        assert len(store.queue.queue_head(10).items) == 1
        with pytest.raises(StoreUnavailable) as raised:
            store.queue.add_trainings([a_training()])
        channel.sendall(b"+")
        channel.recv(1)
        store.queue.add_trainings([a_training()])
        return str(raised.value)

    with STRANGER.running(lambda channel: read_as_sqlite_does()):
        pass
    with OWNER.running(work) as owner:
        assert owner.channel.recv(1) == b"+"
        for name in beside(database):
            (database.parent / name).unlink()
        owner.channel.sendall(b"+")
        assert "mitorch.db-wal belongs to 54003:54003" in owner.result()


def test_a_read_only_folder_can_be_read(database: Path) -> None:
    database.parent.chmod(0o555)
    assert OWNER.run(lambda: count(database)) == 1
    with pytest.raises(StoreError, match=r"needs to make files beside it, and .*team belongs to .* mode 0555"):
        OWNER.run(lambda: write(database))


def test_a_read_only_file_system_can_be_read_by_root_too(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "2m") as folder:
        path = folder / "mitorch.db"
        write(path)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        assert count(path) == 1
        with pytest.raises(StoreError, match="is on a read-only file system"):
            write(path)


def test_the_doctor_finds_a_database_that_cannot_be_written(database: Path) -> None:
    def findings() -> dict[str, tuple[bool, str]]:
        settings = read_settings({"MITORCH_DB_URI": f"sqlite:///{database}"})
        openers = Openers(
            open_store,
            lambda settings: FolderArtifactStore(database.parent / "artifacts"),
            lambda settings: {"local": FakeBackend("local")},
            lambda cluster, settings: None,
        )
        return {finding.what: (finding.ok, finding.text) for finding in diagnose(lambda: settings, openers, 30)}

    assert OWNER.run(findings)["database"][0]
    ok, text = STRANGER.run(findings)["database"]
    assert (ok, "belongs to 54001" in text, "chgrp TEAM" in text) == (False, True, True)


def test_a_file_that_the_first_write_creates(tmp_path: Path) -> None:
    """It reads as an empty one until then; a file that another process has made is seen once it is there."""
    path = tmp_path / "below" / "mitorch.db"
    late = [SqliteStore(path, created_late=True) for _ in range(2)]
    with closing(late[0]) as store, closing(late[1]) as other:
        store.prepare()
        assert store.trainings.count_trainings() == {}
        assert not path.parent.exists()
        store.queue.add_trainings([a_training()])
        assert path.exists()
        assert other.trainings.count_trainings() == {"new": 1}
        assert other.queue.add_trainings([a_training()]) == 1
        assert store.trainings.count_trainings() == {"new": 2}
