"""Backups: whole, private, made while the store is written to; restored whole or not at all, losing nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from xenapi_core.datamodel import Datamodel
from xenapi_core.population import populate
from xenapi_core.scenario import load
from xenapi_core.store import JournalError, Store
from xenapi_core.store import backup as backups
from xenapi_core.store.backup import back_up, restore
from xenapi_core.store.journal_file import FORMAT

REAL = Datamodel.load()


def untold(done: int, total: int) -> None:
    """Tell nobody."""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("made") / "journal"
    Store(REAL, path, first=lambda store: populate(store, load(None, hosts=1, vms=2, seed=3))).close()
    return path


@pytest.fixture
def path(made, tmp_path) -> Path:
    (tmp_path / "state").mkdir()
    return Path(shutil.copy(made, tmp_path / "state" / "journal"))


@pytest.fixture
def copy(path, tmp_path) -> Path:
    (tmp_path / "backups").mkdir()
    copy = tmp_path / "backups" / "pool"
    back_up(path, copy, untold)
    return copy


def rename(path: Path, name: str) -> None:
    store = Store(REAL, path)
    with store.write() as change:
        change.update(next(iter(store.records("pool"))).ref, name_label=name)
    store.close()


def name_of(path: Path) -> str:
    store = Store(REAL, path)
    try:
        return next(iter(store.records("pool")))["name_label"]
    finally:
        store.close()


def others(path: Path) -> set[str]:
    return {each.name for each in path.parent.iterdir()} - {path.name, f"{path.name}.lock"}


def test_a_backup_holds_everything_in_one_private_file(path, copy):
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [each.name for each in copy.parent.iterdir()] == ["pool"]
    with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(copy)) as two:
        for table in ("objects", "defaults", "counters"):
            rows = one.execute(f"SELECT * FROM {table}").fetchall()
            assert rows
            assert two.execute(f"SELECT * FROM {table}").fetchall() == rows


def test_a_backup_of_a_store_that_is_written_to_is_the_state_of_one_moment(path, tmp_path, monkeypatch):
    """Each step of the writer changes all VMs; a backup in which they differ was not made at one moment."""
    monkeypatch.setattr(backups, "PAGES", 2)
    store = Store(REAL, path)
    vms = [vm.ref for vm in store.records("VM")]
    ended, written = threading.Event(), threading.Semaphore(0)
    told: list[tuple[int, int]] = []

    def describe(number: int) -> None:
        with store.write() as change:
            for vm in vms:
                change.update(vm, name_description=str(number))

    def write() -> None:
        for number in count(1):
            describe(number)
            written.release()
            if ended.is_set():
                return

    describe(0)
    writer = threading.Thread(target=write)
    writer.start()
    copies = [tmp_path / f"copy {number}" for number in range(5)]
    try:
        for copy in copies:
            back_up(path, copy, lambda done, total: told.append((done, total)))
            assert written.acquire(timeout=30)
    finally:
        ended.set()
        writer.join()
        store.close()
    seen = []
    for copy in copies:
        again = Store(REAL, copy)
        (description,) = {again.record(vm)["name_description"] for vm in vms}
        seen.append(int(description))
        again.close()
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]
    assert len(told) > 5
    assert all(0 <= done <= total for done, total in told)
    assert told[-1][0] == told[-1][1]


def test_a_backup_replaces_a_file_only_if_asked_to(path, copy):
    before = copy.read_bytes()
    rename(path, "later")
    with pytest.raises(JournalError, match=rf"The file {copy} is there already\."):
        back_up(path, copy, untold)
    assert copy.read_bytes() == before
    back_up(path, copy, untold, replace=True)
    assert name_of(copy) == "later"


def test_what_cannot_be_backed_up_is_named_and_leaves_nothing(path, tmp_path):
    target = tmp_path / "target"
    with pytest.raises(JournalError, match=rf"There is no journal {tmp_path}/nowhere\."):
        back_up(tmp_path / "nowhere", target, untold)
    with pytest.raises(JournalError, match=rf"The file {tmp_path}/no/folder cannot be written: No such file"):
        back_up(path, tmp_path / "no" / "folder", untold)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(JournalError, match=rf"The journal {path} is damaged"):
        back_up(path, target, untold)
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


def test_a_restoration_gives_back_the_pool_and_keeps_what_was_there(path, copy):
    first = name_of(path)
    rename(path, "later")
    restored = restore(copy, path, REAL, untold)
    assert name_of(path) == first
    assert restored.kept is not None
    assert name_of(restored.kept) == "later"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert others(path) == {restored.kept.name, f"{restored.kept.name}.lock"}


def test_a_restoration_where_nothing_was(copy, tmp_path):
    path = tmp_path / "new" / "folder" / "journal"
    restored = restore(copy, path, REAL, untold)
    assert restored.kept is None
    assert name_of(path) == name_of(copy)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_restoration_in_the_place_of_what_a_crash_and_a_bad_disk_left(path, copy):
    store = Store(REAL, path)
    with store.write() as change:
        change.update(next(iter(store.records("pool"))).ref, name_label="in the log")
    log = Path(f"{path}-wal").read_bytes()
    store.close()
    Path(f"{path}-wal").write_bytes(log)
    damaged = b"not a journal at all"
    path.write_bytes(damaged)
    restored = restore(copy, path, REAL, untold)
    assert restored.kept is not None
    assert restored.kept.read_bytes() == damaged
    assert Path(f"{restored.kept}-wal").read_bytes() == log
    assert name_of(path) == name_of(copy)


def test_a_store_in_use_is_not_overwritten(path, copy):
    store = Store(REAL, path)
    with pytest.raises(JournalError, match=rf"The journal {path} is in use by another process\."):
        restore(copy, path, REAL, untold)
    with store.write() as change:
        change.update(next(iter(store.records("pool"))).ref, name_label="goes on")
    store.close()
    assert name_of(path) == "goes on"
    assert others(path) == set()


@pytest.mark.parametrize("harm", ["missing", "foreign", "newer", "truncated", "empty", "no pool"])
def test_a_backup_that_is_none_changes_nothing(path, copy, harm):
    before = path.read_bytes()
    if harm == "missing":
        copy.unlink()
    elif harm == "foreign":
        copy.write_text("Dear diary")
    elif harm == "truncated":
        os.truncate(copy, copy.stat().st_size // 2)
    elif harm == "empty":
        os.truncate(copy, 0)
    else:
        with closing(sqlite3.connect(copy)) as database, database:
            newer = f"PRAGMA user_version = {FORMAT + 1}"
            database.execute(newer if harm == "newer" else "DELETE FROM objects WHERE class = 'pool'")
    with pytest.raises(JournalError, match=str(copy)):
        restore(copy, path, REAL, untold)
    assert path.read_bytes() == before
    assert others(path) == set()


@pytest.mark.parametrize("step", ["_copy", "_put_aside", "_set_runs"])
def test_a_restoration_that_breaks_off_leaves_the_pool_as_it_was(path, copy, step, monkeypatch):
    rename(path, "later")
    done = getattr(backups, step)

    def broken(*arguments):
        done(*arguments)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(backups, step, broken)
    with pytest.raises(JournalError, match=rf"The journal {path} cannot be written: Input/output error\."):
        restore(copy, path, REAL, untold)
    assert name_of(path) == "later"
    assert not others(path) & {"journal.restored", "journal-wal", "journal-shm"}


@pytest.mark.parametrize("readable", [True, False])
def test_runs_after_a_restoration_have_numbers_that_none_before_had(path, copy, readable):
    last = 0
    for _ in range(5):
        store = Store(REAL, path)
        last = store.sequence
        store.close()
    if not readable:
        path.write_bytes(b"")
    restore(copy, path, REAL, untold)
    store = Store(REAL, path)
    assert store.log.floor > last
    store.close()
