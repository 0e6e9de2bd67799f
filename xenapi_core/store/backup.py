"""Copies of a journal: made while the server writes to it, and put in its place while no server does."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from netserve.files import make_folder, sync_folder
from xenapi_core.datamodel.registry import Datamodel
from xenapi_core.store.journal import read
from xenapi_core.store.journal_file import (
    JournalError,
    Lock,
    beside,
    check,
    check_there,
    connect,
    explained,
    open_file,
    remove,
)

Report = Callable[[int, int], None]
"""Called with how many pages are copied, and of how many."""

PAGES = 256
"""Pages that are copied at a time."""

RUNS = 1 << 16
"""More runs than a server makes between two backups: what is added where nobody knows how many there were."""


@dataclass(frozen=True)
class Restored:
    """What came of a restoration."""

    objects: int
    kept: Path | None
    """Where the journal is that was there before."""


def back_up(journal: Path, target: Path, report: Report, *, replace: bool = False) -> int:
    """Copy a journal, in use or not, as it is at this moment, and return the number of its objects.

    The copy is a file of its own, there wholly or not at all. JournalError if the journal is none or damaged, if
    the copy cannot be written, or if the file is there already and is not to be replaced.
    """
    check_there(journal)
    if not journal.exists():
        raise JournalError(f"There is no journal {journal}.")
    if target.exists() and not replace:
        raise JournalError(f"The file {target} is there already.")
    with _written(target, replace=replace) as copy:
        with explained(journal), closing(connect(journal, "rw")) as source:
            check(source, journal)
            _copy(source, copy, report)
        with explained(copy), closing(connect(copy, "rw")) as database:
            check(database, copy)
            return _count(database)


def restore(backup: Path, journal: Path, model: Datamodel, report: Report) -> Restored:
    """Put a copy in the place of a journal, and keep what was there.

    JournalError if the copy is none, is damaged or of a newer format, or if a server uses the journal; nothing has
    changed then.
    """
    if not backup.is_file():
        raise JournalError(f"There is no file {backup}.")
    try:
        make_folder(journal.parent)
        lock = Lock(journal)
        try:
            new = beside(journal, ".restored")
            try:
                objects = _prepare(backup, new, model, report)
                kept, runs = _put_aside(journal)
                _set_runs(new, runs)
                new.replace(journal)
                sync_folder(journal.parent)
            finally:
                remove(new)
        finally:
            lock.close()
    except OSError as error:
        raise JournalError(f"The journal {journal} cannot be written: {error.strerror}.") from error
    return Restored(objects, kept)


def _prepare(backup: Path, new: Path, model: Datamodel, report: Report) -> int:
    """Copy a backup, bring it to the newest format, see that a server can load it, and return how much there is."""
    remove(new)
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    check_there(backup)
    with explained(backup), closing(connect(backup, "ro")) as source:
        check(source, backup)
        _copy(source, new, report)
        pools = sum(1 for _, definition, _, _ in read(source, backup, model) if definition.name == "pool")
        if not pools:
            raise JournalError(f"The journal {backup} is damaged: it holds no pool.")
    with closing(open_file(new)) as database:
        objects = _count(database)
        _into_one_file(database)
    return objects


def _put_aside(journal: Path) -> tuple[Path | None, int | None]:
    """Keep a journal under another name, and return that and the number of its runs, if they are known.

    One that can still be read stays in its place as well until another takes it.
    """
    log = beside(journal, "-wal")
    if not journal.exists() and not log.exists():
        return None, 0
    kept = beside(journal, f".replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    runs = None
    with contextlib.suppress(JournalError), explained(journal), closing(open_file(journal)) as database:
        runs = _runs(database)
        _into_one_file(database)
    if journal.exists():
        os.link(journal, kept)
    if log.exists():  # else it is in the file now
        log.replace(beside(kept, "-wal"))
    beside(journal, "-shm").unlink(missing_ok=True)
    sync_folder(journal.parent)
    return kept, runs


def _set_runs(journal: Path, known: int | None) -> None:
    """Let the next run of a server have a number that none before it had, so that clients see what they missed."""
    with explained(journal), closing(connect(journal, "rw")) as database:
        own = _runs(database)
        database.execute(
            "UPDATE counters SET value = ? WHERE name = 'epoch'", (own + RUNS if known is None else max(own, known),)
        )


def _runs(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT value FROM counters WHERE name = 'epoch'").fetchone()[0])


def _count(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT count(*) FROM objects").fetchone()[0])


@contextmanager
def _written(target: Path, *, replace: bool) -> Iterator[Path]:
    """Yield a private file to be filled, which takes its place once that has succeeded."""
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            if replace:
                temporary.replace(target)
            else:
                os.link(temporary, target)
            sync_folder(target.parent)
        finally:
            remove(temporary)
    except FileExistsError as error:
        raise JournalError(f"The file {target} is there already.") from error
    except OSError as error:
        raise JournalError(f"The file {target} cannot be written: {error.strerror}.") from error


def _copy(source: sqlite3.Connection, target: Path, report: Report) -> None:
    """Copy a journal as it is at this moment into an empty file."""
    with closing(connect(target, "rw")) as database:
        database.execute("PRAGMA synchronous = FULL")
        source.execute("BEGIN")
        _count(source)  # from now on it sees no write of others, so that none makes it begin again
        try:
            source.backup(database, pages=PAGES, progress=lambda _, left, total: report(total - left, total))
            _into_one_file(database)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "") != "SQLITE_FULL":
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        source.execute("COMMIT")


def _into_one_file(database: sqlite3.Connection) -> None:
    """Let nothing of a journal be in files beside it."""
    database.execute("PRAGMA journal_mode = DELETE")
