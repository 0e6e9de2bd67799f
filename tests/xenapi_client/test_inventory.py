"""The live replica: complete, atomic, and honest about what happened while it could not look."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xenapi_client import Change, Connection, Inventory, Operation, Version


class Events:
    """The event.from of a scripted pool: objects, and batches that the test hands out one by one."""

    def __init__(self, pool: Any, refused: type[Exception]) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.sequence = 0
        self.batches: asyncio.Queue[Any] = asyncio.Queue()
        self.counted: dict[str, int] | None = None
        self._refused = refused
        pool.answers["event.from"] = self._answer

    def token(self) -> str:
        return f"{self.sequence:020d},{0:020d}"

    async def _answer(self, classes: list[str], token: str, timeout: float) -> Any:
        assert isinstance(timeout, float)
        events = None if token == "" else await self.batches.get()
        if isinstance(events, str):
            raise self._refused(events, token)
        if events is None:
            events = [self.event("add", *key) for key in self.objects]
        counts = self.counted or {
            cls.lower(): str(sum(each == cls for each, _ in self.objects)) for cls, _ in self.objects
        }
        return {"events": events, "valid_ref_counts": counts, "token": self.token()}

    def event(self, operation: str, cls: str, ref: str) -> dict[str, Any]:
        event = {"id": "1", "timestamp": "0.0", "class": cls.lower(), "operation": operation, "ref": ref}
        return event if operation == "del" else event | {"snapshot": self.objects[cls, ref]}

    def put(self, cls: str, ref: str, **fields: Any) -> dict[str, Any]:
        """Change an object and return the event that tells so."""
        operation = "mod" if (cls, ref) in self.objects else "add"
        self.objects[cls, ref] = fields
        self.sequence += 1
        return self.event(operation, cls, ref)

    def take(self, cls: str, ref: str) -> dict[str, Any]:
        """Delete an object and return the event that tells so."""
        del self.objects[cls, ref]
        self.sequence += 1
        return self.event("del", cls, ref)


class Witness:
    """A listener that keeps what it was told, and checks that it is true."""

    def __init__(self, inventory: Inventory) -> None:
        self.told: list[tuple[Version | None, Version, list[Change]]] = []
        self._news = asyncio.Event()
        inventory.listen(self)

    def __call__(self, before: Version | None, after: Version, changes: list[Change]) -> None:
        for change in changes:
            assert change.before == (before.get(change.cls, change.ref) if before else None)
            assert change.after == after.get(change.cls, change.ref)
            expected = (
                Operation.ADD if change.before is None else Operation.DEL if change.after is None else Operation.MOD
            )
            assert change.operation is expected
        assert before is None or before.number + 1 == after.number
        self.told.append((before, after, list(changes)))
        self._news.set()

    async def next(self, count: int) -> Version:
        """Wait until that many versions were told of."""
        async with asyncio.timeout(5):
            while len(self.told) < count:
                self._news.clear()
                await self._news.wait()
        return self.told[count - 1][1]

    def changes(self, number: int) -> list[tuple[str, str, str]]:
        return [(change.cls, change.ref, change.operation) for change in self.told[number][2]]


@pytest.fixture
def events(pool, refused) -> Events:
    events = Events(pool, refused)
    events.put("VM", "vm1", uuid="u1", power_state="Halted")
    events.put("VM", "vm2", uuid="u2", power_state="Running")
    events.put("host", "host1", uuid="h1")
    return events


@pytest.fixture
async def inventory(pool, events):
    connection = Connection(pool.url)
    inventory = Inventory(connection)
    yield inventory
    await inventory.stop()
    await connection.close()


@pytest.fixture
async def witness(inventory) -> Witness:
    witness = Witness(inventory)
    inventory.start()
    await witness.next(1)
    return witness


async def test_it_begins_with_everything_in_api_spelling(inventory, witness):
    version = inventory.version
    assert dict(version.records("VM")) == {
        "vm1": {"uuid": "u1", "power_state": "Halted"},
        "vm2": {"uuid": "u2", "power_state": "Running"},
    }
    assert version.get("host", "host1") == {"uuid": "h1"}
    assert version.get("VM", "vm9") is None
    assert dict(version.records("VBD")) == {}
    assert inventory.problem is None


async def test_a_batch_is_one_version(events, inventory, witness):
    before = inventory.version
    events.batches.put_nowait(
        [
            events.put("VM", "vm1", uuid="u1", power_state="Running"),
            events.put("VM", "vm3", uuid="u3", power_state="Halted"),
            events.take("VM", "vm2"),
        ]
    )
    after = await witness.next(2)
    assert witness.changes(1) == [("VM", "vm1", "mod"), ("VM", "vm3", "add"), ("VM", "vm2", "del")]
    assert list(after.records("VM")) == ["vm1", "vm3"]
    assert list(before.records("VM")) == ["vm1", "vm2"]
    assert before.get("VM", "vm1")["power_state"] == "Halted"
    assert after.get("host", "host1") is before.get("host", "host1")
    assert after.tables["host"] is before.tables["host"], "classes without a change are shared"


async def test_an_event_without_a_change_is_no_change(events, inventory, witness):
    record = inventory.version.get("VM", "vm1")
    events.batches.put_nowait([events.put("VM", "vm1", uuid="u1", power_state="Halted")])
    assert await inventory.wait_beyond(f"{events.sequence - 1:020d},", 5)
    assert len(witness.told) == 1
    assert inventory.version.get("VM", "vm1") is record


@pytest.mark.parametrize("code", ["EVENTS_LOST", "EVENT_FROM_TOKEN_PARSE_FAILURE"])
async def test_after_lost_events_the_net_difference_is_told(events, inventory, witness, code):
    unchanged = inventory.version.get("VM", "vm2")
    events.put("VM", "vm1", uuid="u1", power_state="Paused")
    events.put("VM", "vm3", uuid="u3", power_state="Halted")
    events.put("VM", "vm4", uuid="u4", power_state="Halted")
    events.take("VM", "vm4")
    events.take("host", "host1")
    events.batches.put_nowait(code)
    after = await witness.next(2)
    assert witness.changes(1) == [("host", "host1", "del"), ("VM", "vm1", "mod"), ("VM", "vm3", "add")]
    assert after.get("VM", "vm2") is unchanged


async def test_a_restart_of_the_server_is_survived(pool, events, inventory, witness):
    await pool.restart()
    events.put("VM", "vm1", uuid="u1", power_state="Running")
    after = await witness.next(2)
    assert witness.changes(1) == [("VM", "vm1", "mod")]
    assert after.get("VM", "vm1")["power_state"] == "Running"
    assert inventory.problem is None


async def test_while_the_server_is_away_the_last_version_stays(pool, events, inventory, witness):
    version = inventory.version
    await pool.close()
    async with asyncio.timeout(5):
        while inventory.problem is None:
            await asyncio.sleep(0)
    assert "cannot be reached" in inventory.problem
    assert inventory.version is version
    await pool.open(int(pool.url.rpartition(":")[2]))
    events.put("VM", "vm1", uuid="u1", power_state="Running")
    await witness.next(2)


async def test_deletions_that_the_server_forgot_are_found_by_counting(events, inventory, witness):
    events.take("VM", "vm2")
    events.batches.put_nowait([events.put("VM", "vm1", uuid="u1", power_state="Paused")])
    await witness.next(3)
    assert witness.changes(1) == [("VM", "vm1", "mod")]
    assert witness.changes(2) == [("VM", "vm2", "del")]


async def test_a_class_that_the_server_counts_differently_is_not_read_for_ever(pool, events, inventory):
    events.counted = {"vm": 7, "message": 3}
    witness = Witness(inventory)
    inventory.start()
    await witness.next(1)
    events.batches.put_nowait([events.put("VM", "vm1", uuid="u1", power_state="Paused")])
    events.batches.put_nowait([events.put("VM", "vm1", uuid="u1", power_state="Running")])
    await witness.next(3)
    assert [parameters[2] for parameters in pool.named("event.from")].count("") == 1


async def test_a_listener_that_fails_harms_nobody(events, inventory):
    def fail(*_):
        raise RuntimeError("listener")

    inventory.listen(fail)
    witness = Witness(inventory)
    inventory.start()
    await witness.next(1)
    events.batches.put_nowait([events.put("VM", "vm1", uuid="u1")])
    await witness.next(2)


async def test_an_answer_without_sense_is_survived(events, inventory, witness, monkeypatch):
    monkeypatch.setattr("xenapi_client.inventory.LONGEST_PAUSE", 0.0)
    events.batches.put_nowait([{"class": "vm"}])
    events.put("VM", "vm1", uuid="u1", power_state="Running")
    await witness.next(2)


async def test_waiting_ends_with_the_token_or_the_time(events, inventory, witness):
    token = events.token()
    assert await inventory.wait_beyond(token, 0.01) is False
    waiting = asyncio.create_task(inventory.wait_beyond(token, 5))
    events.batches.put_nowait([events.put("VM", "vm1", uuid="u1", power_state="Running")])
    assert await waiting is True
    assert inventory.version.get("VM", "vm1")["power_state"] == "Running"


async def test_only_the_named_classes_are_asked_for(pool, events):
    connection = Connection(pool.url)
    inventory = Inventory(connection, {"host", "VM"})
    inventory.start()
    assert await inventory.wait_first(5)
    assert pool.named("event.from")[0][1] == ["VM", "host"]
    await inventory.stop()
    await connection.close()


REFS = st.sampled_from(["a", "b", "c"])
STEP = st.tuples(st.sampled_from(["VM", "host", "VBD"]), REFS, st.none() | st.integers(0, 3))


@given(st.lists(st.lists(STEP, max_size=6), max_size=5), st.data())
def test_the_replica_is_what_the_server_has(batches, data):
    """Whatever batches come, and wherever events are lost, the replica equals the server's objects after each."""
    inventory = Inventory(Connection("http://127.0.0.1:1"))
    server: dict[tuple[str, str], dict[str, Any]] = {}
    replica: dict[tuple[str, str], dict[str, Any]] = {}

    def follow(_before: Version | None, _after: Version, changes: list[Change]) -> None:
        for change in changes:
            if change.after is None:
                del replica[change.cls, change.ref]
            else:
                replica[change.cls, change.ref] = dict(change.after)

    inventory.listen(follow)
    for number, batch in enumerate(batches):
        latest: dict[tuple[str, str], dict[str, Any]] = {}
        for cls, ref, value in batch:
            key = cls, ref
            event = {"class": cls.lower(), "ref": ref, "operation": "del" if value is None else "mod"}
            latest.pop(key, None)
            if value is None:
                server.pop(key, None)
            else:
                server[key] = event["snapshot"] = {"value": value}
            latest[key] = event
        lost = data.draw(st.booleans())
        everything = [
            {"class": cls.lower(), "ref": ref, "operation": "add", "snapshot": record}
            for (cls, ref), record in server.items()
        ]
        events = everything if lost else list(latest.values())
        tables, changes = inventory._apply(events, afresh=lost)
        inventory._publish(tables, changes, str(number))
        version = inventory.version
        assert {(cls, ref): record for cls, table in version.tables.items() for ref, record in table.items()} == server
        assert replica == server
