"""The journal as a file: what a crash leaves is whole, older formats are migrated, anything else is refused by name."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from box_model import MODEL, Mood, snapshot
from xenapi_core.datamodel import RO, RW, Datamodel, XenClass
from xenapi_core.datamodel.fields import field
from xenapi_core.store import JournalError, Store
from xenapi_core.store.journal_file import APPLICATION, FORMAT

BLOCK = 512
"""What a disk writes at once (bytes)."""

State = dict[str, list[tuple[str, dict[str, object]]]]


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "journal"


def filled(path: Path, boxes: int = 40) -> State:
    """Make a journal with boxes and things and return what is in it."""
    store = Store(MODEL, path)
    with store.write() as change:
        made = [change.create("Box", {"name_label": f"box {n}", "labels": {n: ["x" * 300]}}) for n in range(boxes)]
        for box in made:
            change.create("Thing", {"box": box})
    state = snapshot(store)
    store.close()
    return state


def run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


def reopened(path: Path) -> State:
    store = Store(MODEL, path)
    try:
        return snapshot(store)
    finally:
        store.close()


# Crashes


@dataclass
class Files:
    """What a journal's files hold at a moment."""

    main: bytes
    log: bytes

    @classmethod
    def of(cls, path: Path) -> Files:
        log = Path(f"{path}-wal")
        return cls(path.read_bytes(), log.read_bytes() if log.exists() else b"")

    def write(self, path: Path) -> None:
        path.write_bytes(self.main)
        Path(f"{path}-wal").write_bytes(self.log)


def torn(before: bytes, after: bytes, written: Callable[[int], bool], cut: float) -> bytes:
    """Return a file as a power cut leaves it in the middle of a write: some blocks are new, and it may be short."""
    length = max(len(before), len(before) + round(cut * (len(after) - len(before))))
    image = bytearray(before.ljust(length, b"\0")[:length])
    for start in range(0, length, BLOCK):
        if written(start):
            image[start : start + BLOCK] = after[start : min(start + BLOCK, length)] or before[start : start + BLOCK]
    return bytes(image)


@settings(deadline=None)
@given(st.data())
def test_whatever_a_crash_cuts_off_acknowledged_writes_are_there(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("crash")
    path, copy = folder / "journal", folder / "copy"
    store = Store(MODEL, path)
    pages = data.draw(st.sampled_from([0, 3, 1000]), "pages after which SQLite moves the log into the file")
    store._journal._database.execute(f"PRAGMA wal_autocheckpoint = {pages}")
    names = st.text("ab\n", max_size=3).flatmap(lambda text: st.sampled_from([text, text * 3000]))
    for number in range(data.draw(st.integers(1, 8), "writes")):
        before, acknowledged = Files.of(path), snapshot(store)
        with store.write() as change:
            for name in data.draw(st.lists(names, min_size=1, max_size=3), f"boxes of write {number}"):
                change.create("Thing", {"box": change.create("Box", {"name_label": name})})
            for box in list(store.records("Box"))[: data.draw(st.integers(0, 3), f"boxes that write {number} removes")]:
                change.destroy(box.ref)
    after, written = Files.of(path), snapshot(store)
    store.close()

    blocks = data.draw(st.randoms(use_true_random=False), "which blocks reached the disk")
    share, cut = data.draw(st.sampled_from([0.0, 0.5, 0.9, 1.0])), data.draw(st.floats(0, 1), "where the end is")
    if data.draw(st.booleans(), "in the middle of the log, not of moving it into the file"):
        Files(before.main, torn(before.log, after.log, lambda _: blocks.random() < share, cut)).write(copy)
        assert reopened(copy) in (acknowledged, written)
    else:
        Files(torn(before.main, after.main, lambda _: blocks.random() < share, cut), after.log).write(copy)
        assert reopened(copy) == written


def test_a_journal_is_made_whole_or_not_at_all(path):
    def fail(store: Store) -> None:
        fill(store)
        raise ZeroDivisionError

    def fill(store: Store) -> None:
        with store.write() as change:
            change.create("Box", {"name_label": "first"})
            change.create("Passing", {})

    with pytest.raises(ZeroDivisionError):
        Store(MODEL, path, first=fail)
    assert [each.name for each in path.parent.iterdir()] == ["journal.lock"]
    path.with_name("journal.new").write_bytes(b"left by a crash")
    for _ in range(2):  # it is only made once
        store = Store(MODEL, path, first=fill)
        assert [box.name_label for box in store.durable.records("Box")] == ["first"]
        assert not store.durable.count("Passing")
        store.close()
    assert {each.name for each in path.parent.iterdir()} == {"journal", "journal.lock"}


# Whose it is


def test_a_journal_is_the_owners_alone_and_in_use_once(path):
    store = Store(MODEL, path)
    with store.write() as change:
        change.create("Box", {})
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}
    with pytest.raises(JournalError, match="in use by another process"):
        Store(MODEL, path)
    store.close()
    Store(MODEL, path).close()


def test_others_may_read_while_it_is_in_use(path):
    store = Store(MODEL, path)
    with store.write() as change:
        change.create("Box", {})
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("SELECT count(*) FROM objects").fetchone() == (1,)
        with store.write() as change:
            change.create("Box", {})
        assert reader.execute("SELECT count(*) FROM objects").fetchone() == (2,)
    store.close()


# What is refused


def test_files_of_others_are_refused_and_left_alone(tmp_path):
    text = tmp_path / "text"
    text.write_text("Dear diary, " * 100)
    with pytest.raises(JournalError, match=r"text is no journal of this server\.$"):
        Store(MODEL, text)
    assert text.read_text().startswith("Dear diary")
    database = tmp_path / "database"
    run(database, "CREATE TABLE songs (name TEXT)")
    with pytest.raises(JournalError, match="database is no journal of this server"):
        Store(MODEL, database)
    with pytest.raises(JournalError, match="nowhere/journal cannot be opened"):
        Store(MODEL, tmp_path / "nowhere" / "journal")
    with pytest.raises(JournalError, match=f"{tmp_path} cannot be opened"):
        Store(MODEL, tmp_path)


def test_a_newer_format_is_refused_and_left_alone(path):
    filled(path)
    run(path, f"PRAGMA user_version = {FORMAT + 1}")
    before = path.read_bytes()
    with pytest.raises(JournalError, match=rf"journal has format {FORMAT + 1}, written by a newer version"):
        Store(MODEL, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0.0, 0.00001, 0.005, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_journal_is_refused(path, share):
    filled(path)
    data = path.read_bytes()
    path.write_bytes(data[: round(share * len(data))])
    with pytest.raises(JournalError, match=rf"{path} (is damaged|is no journal)"):
        Store(MODEL, path)
    assert path.stat().st_size == round(share * len(data))


@settings(deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), filling=st.sampled_from([b"\0", b"\xff", b"x"]))
def test_a_journal_with_a_block_of_something_else_is_refused(tmp_path_factory, place, filling):
    path = tmp_path_factory.mktemp("damage") / "journal"
    state = filled(path)
    data = bytearray(path.read_bytes())
    start = int(place * len(data)) // BLOCK * BLOCK
    assume(data[start : start + BLOCK] != filling * BLOCK)
    data[start : start + BLOCK] = filling * BLOCK
    path.write_bytes(data)
    try:
        found = reopened(path)
    except JournalError as error:
        found = str(error)
    assert found == state or str(path) in found


def test_a_journal_whose_file_is_gone_is_not_made_anew(path):
    store = Store(MODEL, path)
    with store.write() as change:
        change.create("Box", {})
    Path(f"{path}-kept").write_bytes(Path(f"{path}-wal").read_bytes())
    store.close()
    path.unlink()
    Path(f"{path}-kept").rename(f"{path}-wal")
    with pytest.raises(JournalError, match=f"{path} is gone, although its newest writes are still there"):
        Store(MODEL, path)
    assert not path.exists()


def test_an_object_that_makes_no_sense_is_named(path):
    filled(path)
    run(path, "UPDATE objects SET fields = 'nonsense'")
    with pytest.raises(JournalError, match=r"is damaged: object OpaqueRef:.* of class Box"):
        Store(MODEL, path)


# Other versions of this program


def test_the_first_format_is_migrated(path):
    state = filled(path)
    run(path, "DROP TABLE defaults", "PRAGMA user_version = 1")
    assert reopened(path) == state
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (FORMAT,)
        assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
        assert database.execute("SELECT class FROM defaults").fetchall() == [("Box",), ("Thing",)]


def test_what_the_datamodel_no_longer_has_is_left_out(path):
    store = Store(MODEL, path)
    with store.write() as change:
        box = change.create("Box", {"name_label": "x"})
        change.create("Thing", {})
    store.close()

    class Box(XenClass):
        """An earlier box."""

        uuid: str = field(RO)
        colour: str = field(RO, default="red")

    fewer = Store(Datamodel([Box]), path)
    assert fewer.record(box).colour == "red"
    assert len(fewer.durable) == 1
    fewer.close()


def test_a_default_that_is_declared_anew_changes_no_object_that_there_is(path):
    store = Store(MODEL, path)
    with store.write() as change:
        plain = change.create("Box", {})
        wild = change.create("Box", {"mood": Mood.wild, "name_label": "labelled"})
    store.close()

    class Box(XenClass):
        """A box of another time."""

        uuid: str = field(RO)
        name_label: str = field(RW, default="nameless")
        mood: str = field(RO, default="wild")
        size: int = field(RO, default=3)

    for _ in range(2):
        later = Store(Datamodel([Box]), path)
        assert [later.record(plain)[name] for name in ("name_label", "mood", "size")] == ["", "calm", 3]
        assert [later.record(wild)[name] for name in ("name_label", "mood", "size")] == ["labelled", "wild", 3]
        later.close()
    again = Store(MODEL, path)
    assert (again.record(plain).mood, again.record(wild).mood) == (Mood.calm, Mood.wild)
    again.close()
