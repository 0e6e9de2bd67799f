"""The journal as a file: its format and older ones, who may use it, and what a file has to be like to be one."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from netserve.files import sync_folder

JOURNAL = "xen-api.journal"
"""The name of the journal in the server's state folder."""

APPLICATION = 0x58454E4A
"""What marks an SQLite file as such a journal ("XENJ")."""

FORMAT = 2
"""The version of the format that this program writes. Older ones are migrated, newer ones refused."""

_TABLES = """
    CREATE TABLE objects (row INTEGER PRIMARY KEY, class TEXT NOT NULL, ref TEXT NOT NULL UNIQUE, fields TEXT NOT NULL);
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO counters VALUES ('epoch', 0);
"""

_DEFAULTS = """
    CREATE TABLE defaults (class TEXT PRIMARY KEY, fields TEXT NOT NULL) WITHOUT ROWID;
"""

MIGRATIONS = {1: _DEFAULTS}
"""By format: the statements that make the next one of it."""

BELONGING = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a file."""

PATIENCE = 5.0
"""Seconds for which another process may keep the file to itself, as SQLite's own tools do for moments."""


class JournalError(Exception):
    """The journal cannot be opened, read or written. The text is a sentence for people."""


class Lock:
    """The right to write to a journal, of one process at a time. Who only reads needs none."""

    def __init__(self, journal: Path) -> None:
        """JournalError if another process has it, or the folder cannot be written."""
        try:
            file = os.open(beside(journal, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"The journal {journal} cannot be opened: {error.strerror}.") from error
        self._file = os.fdopen(file)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise JournalError(f"The journal {journal} is in use by another process.") from error

    def close(self) -> None:
        """Give it back."""
        self._file.close()


def beside(journal: Path, suffix: str) -> Path:
    """Return the path of a file that belongs to a journal."""
    return journal.with_name(journal.name + suffix)


def check_there(journal: Path) -> None:
    """Raise JournalError for a journal of which a part is gone; there may be no journal at all."""
    log = beside(journal, "-wal")
    if not journal.exists() and log.exists():
        raise JournalError(f"The journal {journal} is gone, although its newest writes are still there, in {log}.")
    if journal.exists() and not journal.stat().st_size:
        raise JournalError(f"The journal {journal} is damaged: the file is empty.")


def open_file(path: Path) -> sqlite3.Connection:
    """Open a journal that is there, bring it to the newest format, and see that it is whole."""
    check_there(path)
    with explained(path):
        database = connect(path, "rw")
        try:
            check(database, path)
            _migrate(database)
            _write_ahead(database, path)
        except BaseException:
            database.close()
            raise
        return database


@contextmanager
def made(path: Path) -> Iterator[sqlite3.Connection]:
    """Make a journal where there is none, whole or not at all: yields it, to be filled in one transaction."""
    new = beside(path, ".new")
    try:
        remove(new)
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        try:
            with explained(path), closing(connect(new, "rw")) as database:
                database.execute("PRAGMA synchronous = FULL")
                database.executescript(f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; BEGIN;")
                _run(database, _TABLES + _DEFAULTS)
                yield database
                database.execute("COMMIT")
            new.replace(path)
        except BaseException:
            remove(new)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise JournalError(f"The journal {path} cannot be made: {error.strerror}.") from error


def _run(database: sqlite3.Connection, statements: str) -> None:
    """Run statements within the transaction under way."""
    for statement in statements.split(";")[:-1]:
        database.execute(statement)


def remove(journal: Path) -> None:
    """Remove a journal, and what SQLite keeps beside it."""
    for each in (journal, *(beside(journal, suffix) for suffix in BELONGING)):
        each.unlink(missing_ok=True)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite complains of into a JournalError."""
    try:
        yield
    except sqlite3.Error as error:
        raise JournalError(_sentence(path, error)) from error


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open an SQLite file that is there, to read ("ro") or also to write ("rw"), from one thread at a time."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False)


def check(database: sqlite3.Connection, path: Path) -> None:
    """Raise JournalError for a file that is not ours, of a newer format, or not whole."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION:
        raise JournalError(f"The file {path} is no journal of this server.")
    version = _version(database)
    if version > FORMAT:
        text = f"The journal {path} has format {version}, written by a newer version of this server"
        raise JournalError(f"{text}; this one knows formats up to {FORMAT}.")
    (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if version < 1 or found != "ok":
        raise JournalError(f"The journal {path} is damaged: {found if version >= 1 else 'it has no format'}.")


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _migrate(database: sqlite3.Connection) -> None:
    """Bring a journal to the newest format, all in one transaction."""
    version = _version(database)
    if version == FORMAT:
        return
    database.execute("BEGIN IMMEDIATE")
    for older in range(version, FORMAT):
        _run(database, MIGRATIONS[older])
    database.execute(f"PRAGMA user_version = {FORMAT}")
    database.execute("COMMIT")


def _write_ahead(database: sqlite3.Connection, path: Path) -> None:
    """Let writes be durable once they are committed, and others read meanwhile."""
    (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise JournalError(f"The journal {path} cannot be used: its file system shares no memory among processes.")
    database.execute("PRAGMA synchronous = FULL")


def _sentence(path: Path, error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_BUSY"):
        return f"The journal {path} is in use by another process."
    if name.startswith("SQLITE_CANTOPEN"):
        return f"The journal {path} cannot be opened: {error}."
    if name == "SQLITE_NOTADB":
        return f"The file {path} is no journal of this server."
    if name.startswith("SQLITE_CORRUPT"):
        return f"The journal {path} is damaged: {error}."
    return f"The journal {path} cannot be used: {error}."
