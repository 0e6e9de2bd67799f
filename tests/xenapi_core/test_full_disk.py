"""A journal that cannot be written any more: whoever writes hears of it, the daemon stops, nothing is lost."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from box_model import MODEL, snapshot
from write_load import Load
from xenapi_core.store import JOURNAL, JournalError, Store
from xenapi_core.store.backup import back_up, restore
from xenapid_process import PASSWORD, USER, Xenapid


@pytest.fixture
def xenapid() -> Iterator[Xenapid]:
    process = Xenapid()
    try:
        yield process
    finally:
        process.close()


@pytest.fixture
def small_disk(xenapid) -> Iterator[Path]:
    """A file system of 4 MiB under the state folder."""
    xenapid.state.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(xenapid.state)]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only who may mount file systems can make a small one")
    yield xenapid.state
    xenapid.close()
    subprocess.run(["umount", str(xenapid.state)], check=True)


def fill(folder: Path) -> None:
    """Write until no room is left."""
    with (folder / "ballast").open("wb", buffering=0) as ballast:
        try:
            while ballast.write(b"\0" * 4096):
                pass
        except OSError:
            return


def fail_under_load(xenapid: Xenapid, break_disk: Callable[[], None]) -> str:
    """Break the journal's disk while clients write, mend it, and see that nothing is lost; return the last words."""
    xenapid.start()
    load = Load(xenapid.url, USER, PASSWORD, clients=3, seed=11)
    load.start()
    deadline = time.monotonic() + 30
    while load.acknowledged < 60 and time.monotonic() < deadline:
        time.sleep(0.01)
    break_disk()
    assert xenapid.wait() == 1
    load.stop()
    told = (xenapid.folder / "log").read_text().splitlines()[-1]
    (xenapid.state / "ballast").unlink(missing_ok=True)
    xenapid.start()
    assert load.verify() == []
    assert load.broken, "no client was told that its write had failed"
    return told


def test_a_full_disk(xenapid, small_disk):
    told = fail_under_load(xenapid, lambda: fill(small_disk))
    assert told == f"xenapid: The journal {small_disk / JOURNAL} cannot be written: database or disk is full."


def test_a_disk_that_takes_no_more(xenapid):
    def limit() -> None:
        size = Path(f"{xenapid.state / JOURNAL}-wal").stat().st_size
        resource.prlimit(xenapid.pid, resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))

    told = fail_under_load(xenapid, limit)
    assert told == f"xenapid: The journal {xenapid.state / JOURNAL} cannot be written: disk I/O error."


def test_a_backup_or_restoration_for_which_there_is_no_room(small_disk, tmp_path):
    path = tmp_path / "journal"
    store = Store(MODEL, path)
    with store.write() as change:
        for number in range(200):
            change.create("Box", {"name_label": str(number) * 1000})
    store.close()
    fill(small_disk)
    for work, named in (
        (lambda: back_up(path, small_disk / "copy", lambda done, total: None), f"file {small_disk}/copy"),
        (lambda: restore(path, small_disk / "kept", MODEL, lambda done, total: None), f"journal {small_disk}/kept"),
    ):
        with pytest.raises(JournalError, match=rf"The {named} cannot be written: No space left on device\."):
            work()
    assert {each.name for each in small_disk.iterdir()} <= {"ballast", "kept.lock"}


class FailingDatabase:
    """A connection to SQLite one of whose statements fails, carried out or not."""

    def __init__(self, database: sqlite3.Connection, statement: str, *, carried_out: bool) -> None:
        self._database = database
        self._statement = statement
        self._carried_out = carried_out

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def execute(self, statement: str, *parameters: Any) -> Any:
        if statement != self._statement:
            return self._database.execute(statement, *parameters)
        if self._carried_out:
            self._database.execute(statement, *parameters)
        raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "COMMIT"])
async def test_a_write_of_which_nobody_knows_whether_it_is_durable_is_an_error(tmp_path, statement, carried_out):
    path = tmp_path / "journal"
    store = Store(MODEL, path)
    failures: list[JournalError] = []
    store.on_failure = failures.append
    with store.write() as change:
        box = change.create("Box", {"name_label": "acknowledged"})
    await store.flush()
    acknowledged = snapshot(store)
    store._journal._database = FailingDatabase(store._journal._database, statement, carried_out=carried_out)
    with store.write() as change:
        change.update(box, name_label="in doubt")
    with pytest.raises(JournalError, match=rf"{path} cannot be written: disk I/O error\."):
        await store.flush()
    assert len(failures) == 1
    assert snapshot(store) == acknowledged, "readers must not be told what may be lost"
    with pytest.raises(JournalError), store.write():
        pass
    store.close()
    again = Store(MODEL, path)
    assert again.record(box).name_label in ("acknowledged", "in doubt")
    again.close()
