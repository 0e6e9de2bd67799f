"""The store: atomic, durable, in order; relations kept."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from box_model import MODEL, Mood, snapshot
from xenapi_core.datamodel import NULL, Record, XenApiError
from xenapi_core.store import JournalError, Store


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "journal"


def test_an_object_gets_a_reference_a_uuid_and_its_defaults():
    store = Store(MODEL)
    with store.write() as change:
        ref = change.create("Box", {"name_label": "x"})
    box = store.record(ref)
    assert ref.startswith("OpaqueRef:")
    assert box.uuid
    assert box.uuid not in ref
    assert (box.name_label, box.mood, box.things, box.labels) == ("x", Mood.calm, (), {})
    assert store.by_uuid("Box", box.uuid) is box
    assert store.by_uuid("Thing", box.uuid) is None


def test_a_restart_gives_back_references_order_types_and_relations(path):
    store = Store(MODEL, path)
    with store.write() as change:
        boxes = [change.create("Box", {"name_label": f"box {n}"}) for n in range(5)]
        things = [change.create("Thing", {"box": boxes[n % 2]}) for n in range(6)]
        change.create("Passing", {})
    with store.write() as change:
        since = datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
        change.update(boxes[0], mood=Mood.wild, since=since, labels={3: ["a", "b"]}, name_label="Käse <&>\n")
        change.update(things[0], box=boxes[4])
        change.update(things[0], box=boxes[0])
        change.destroy(boxes[3])
    before = snapshot(store)
    store.close()
    again = Store(MODEL, path)
    del before["Passing"][:]
    assert snapshot(again) == before
    assert again.record(boxes[0]).mood is Mood.wild
    assert again.record(boxes[0]).things == (things[0], things[2], things[4])
    with again.write() as change:
        change.create("Box", {"name_label": "last"})
    assert [each.name_label for each in again.durable.records("Box")][-1] == "last"
    again.close()


def test_a_step_that_raises_leaves_nothing():
    store = Store(MODEL)

    def fail() -> None:
        with store.write() as change:
            change.create("Box", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(store.records("Box")) == []
    with store.write() as change:
        change.create("Box", {})
    assert len(list(store.records("Box"))) == 1


def test_a_step_sees_what_it_has_written():
    store = Store(MODEL)
    with store.write() as change:
        box = change.create("Box", {"uuid": "u"})
        thing = change.create("Thing", {"box": box})
        assert change.record(box).things == (thing,)
        assert change.by_uuid("Box", "u") is change.record(box)
        assert [each.ref for each in change.records("Thing")] == [thing]
        change.destroy(thing)
        assert change.record(box).things == ()
        assert store.get(box) is None
        with pytest.raises(XenApiError, match="no Thing"):
            change.record(thing, "Thing")
    assert [entry.record.ref for entry in store.log.since(0) for entry in entry.entries] == [box]


def test_steps_do_not_nest():
    store = Store(MODEL)
    with store.write(), pytest.raises(RuntimeError, match="open already"), store.write():
        pass


def test_references_to_a_destroyed_object_become_null():
    store = Store(MODEL)
    with store.write() as change:
        box = change.create("Box", {})
        thing = change.create("Thing", {"box": box})
    with store.write() as change:
        change.destroy(box)
    assert store.record(thing).box == NULL


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"name_label": 3}, r"field Box\.name_label: 3 is no string"),
        ({"colour": "red"}, "class Box has no field colour"),
        ({"things": []}, r"field Box\.things is not written this way"),
        ({"weight": 1.0}, r"field Box\.weight is not written this way"),
    ],
)
def test_mistakes_of_the_program_are_named(values, problem):
    store = Store(MODEL)
    with pytest.raises(TypeError, match=problem), store.write() as change:
        change.create("Box", values)


def test_allowed_operations_follow_from_the_record():
    store = Store(MODEL)
    with store.write() as change:
        box = change.create("Box", {"name_label": "open"})
    assert store.record(box).allowed_operations == ("close",)
    with store.write() as change:
        change.update(box, name_label="closed")
    assert store.record(box).allowed_operations == ()


def test_samples_are_neither_events_nor_kept(path):
    store = Store(MODEL, path)
    with store.write() as change:
        box = change.create("Box", {})
    sequence = store.sequence
    store.measure = lambda record: (2.5,) if record.cls == "Box" else None
    assert store.sampled(store.record(box), "weight") == 2.5
    assert store.sequence == sequence
    store.close()
    again = Store(MODEL, path)
    assert again.sampled(again.record(box), "weight") == 0.0
    again.close()


async def test_readers_see_a_write_once_it_is_durable(path):
    store = Store(MODEL, path)
    with store.write() as change:
        box = change.create("Box", {})
    assert store.get(box) is not None
    assert store.durable.get(box) is None
    assert store.log.sequence < store.sequence
    await store.flush()
    assert store.durable.get(box) is store.get(box)
    assert store.log.sequence == store.sequence
    store.close()


async def test_writes_that_come_together_become_durable_together(path, monkeypatch):
    store = Store(MODEL, path)
    transactions = []
    write, gate = store._journal.write, threading.Event()

    def counted(entries):
        gate.wait(10)
        transactions.append(len(entries))
        write(entries)

    monkeypatch.setattr(store._journal, "write", counted)
    for _ in range(50):
        with store.write() as change:
            change.create("Box", {})
    gate.set()
    await store.flush()
    assert transactions == [1, 49]
    assert len(list(store.durable.records("Box"))) == 50
    store.close()


async def test_a_journal_that_cannot_be_written_stops_the_store(path, monkeypatch):
    store = Store(MODEL, path)
    failures: list[JournalError] = []
    store.on_failure = failures.append

    def full(entries):
        raise JournalError("The journal cannot be written: the disk is full.")

    monkeypatch.setattr(store._journal, "write", full)
    with store.write() as change:
        box = change.create("Box", {})
    with pytest.raises(JournalError, match="disk is full"):
        await store.flush()
    assert len(failures) == 1
    assert store.durable.get(box) is None
    with pytest.raises(JournalError), store.write():
        pass
    store.close()


def test_what_was_not_closed_is_there_too(path, tmp_path):
    store = Store(MODEL, path)
    with store.write() as change:
        box = change.create("Box", {})
    copy = tmp_path / "copy"
    for name in ("", "-wal"):  # what a crash leaves
        Path(f"{copy}{name}").write_bytes(Path(f"{path}{name}").read_bytes())
    again = Store(MODEL, copy)
    assert again.durable.get(box) is not None
    again.close()
    store.close()


async def test_concurrent_writers_lose_nothing(path):
    store = Store(MODEL, path)

    async def work(name: str) -> None:
        for number in range(20):
            with store.write() as change:
                change.create("Box", {"name_label": f"{name} {number}"})
            await store.flush()

    await asyncio.gather(*(work(name) for name in "abcdef"))
    store.close()
    again = Store(MODEL, path)
    assert len(list(again.records("Box"))) == 120
    again.close()


class StoreMachine(RuleBasedStateMachine):
    """Random steps on a store, compared with dicts."""

    boxes = Bundle("boxes")
    things = Bundle("things")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        path.unlink(missing_ok=True)
        self.store = Store(MODEL, path)
        self.names: dict[str, str] = {}
        self.where: dict[str, str] = {}
        self.replica: dict[str, Record] = {}
        self.seen = self.store.log.sequence

    @rule(target=boxes, name=st.text(max_size=5))
    def make_box(self, name):
        with self.store.write() as change:
            ref = change.create("Box", {"name_label": name})
        self.names[ref] = name
        return ref

    @rule(target=things, box=boxes)
    def make_thing(self, box):
        with self.store.write() as change:
            ref = change.create("Thing", {"box": box if box in self.names else NULL})
        self.where[ref] = box if box in self.names else NULL
        return ref

    @rule(box=boxes, name=st.text(max_size=5))
    def rename(self, box, name):
        if box in self.names:
            with self.store.write() as change:
                change.update(box, name_label=name)
            self.names[box] = name

    @rule(thing=things, box=boxes)
    def move(self, thing, box):
        if thing in self.where and box in self.names:
            with self.store.write() as change:
                change.update(thing, box=box)
            self.where[thing] = box

    @rule(box=consumes(boxes))
    def destroy_box(self, box):
        with self.store.write() as change:
            change.destroy(box)
        del self.names[box]
        self.where = {thing: NULL if at == box else at for thing, at in self.where.items()}

    @rule(thing=consumes(things))
    def destroy_thing(self, thing):
        with self.store.write() as change:
            change.destroy(thing)
        del self.where[thing]

    @rule(first=boxes, second=boxes)
    def try_and_fail(self, first, second):
        with pytest.raises(XenApiError, match="OpaqueRef:nothing"):
            self.fail(first, second)

    def fail(self, first: str, second: str) -> None:
        with self.store.write() as change:
            change.create("Thing", {"box": first if first in self.names else NULL})
            if second in self.names:
                change.destroy(second)
            change.destroy("OpaqueRef:nothing")

    @rule()
    def reopen(self):
        self.store.close()
        self.store = Store(MODEL, self.path)
        assert self.store.log.floor > self.seen
        self.seen = self.store.log.sequence

    @invariant()
    def the_store_is_as_the_model(self):
        assert {each.ref: each.name_label for each in self.store.durable.records("Box")} == self.names
        assert {each.ref: each.box for each in self.store.durable.records("Thing")} == self.where
        for box in self.store.durable.records("Box"):
            assert box.things == tuple(thing for thing, at in self.where.items() if at == box.ref)

    @invariant()
    def the_log_leads_a_replica_to_the_same_state(self):
        for commit in self.store.log.since(self.seen):
            for entry in commit.entries:
                assert (entry.operation == "add") == (entry.record.ref not in self.replica)
                if entry.operation == "del":
                    del self.replica[entry.record.ref]
                else:
                    self.replica[entry.record.ref] = entry.record
        self.seen = self.store.log.sequence
        assert {ref: dict(each.items()) for ref, each in self.replica.items()} == {
            each.ref: dict(each.items()) for cls in MODEL.classes for each in self.store.durable.records(cls)
        }

    def teardown(self):
        self.store.close()


def test_random_steps_agree_with_a_model(tmp_path):
    run_state_machine_as_test(
        lambda: StoreMachine(tmp_path / "journal"),
        settings=settings(max_examples=40, stateful_step_count=25, deadline=None),
    )
