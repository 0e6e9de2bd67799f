"""Events: both generations, their tokens, filters and limits, and who is woken when."""

from __future__ import annotations

import asyncio
import xmlrpc.client

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from xenapi_core.classes import event as events
from xenapi_core.datamodel import Datamodel
from xenapi_core.store import Store


@pytest.fixture(autouse=True)
def no_window(monkeypatch):
    """Readers answer as soon as they are woken."""
    monkeypatch.setattr(events, "WINDOW", 0.0)


@pytest.fixture
async def session(api):
    """The API with a session."""
    await api.login()
    return api


@pytest.fixture
def vms(pool):
    """Three halted VMs."""
    return [vm.ref for vm in pool.vms("Halted")][:3]


async def rest() -> None:
    """Let everything run that can run now."""
    for _ in range(20):
        await asyncio.sleep(0)


async def now(api) -> str:
    return (await api.do("event.from", ["pool"], "", 0.0))["token"]


def told(batch) -> list[tuple[str, str, str]]:
    return [(each["class"], each["operation"], each["ref"]) for each in batch["events"]]


async def test_the_empty_token_gives_every_object(session, pool):
    batch = await session.do("event.from", ["*"], "", 0.0)
    assert set(batch) == {"events", "valid_ref_counts", "token"}
    names = [cls for cls, definition in pool.model.classes.items() if definition.events]
    everything = {record.ref: record.cls.lower() for cls in names for record in pool.store.records(cls)}
    assert {each["ref"]: each["class"] for each in batch["events"]} == everything
    assert {each["operation"] for each in batch["events"]} == {"add"}
    vm = pool.vm("Running")
    (snapshot,) = [each["snapshot"] for each in batch["events"] if each["ref"] == vm]
    assert snapshot == await session.do("VM.get_record", vm)
    assert batch["valid_ref_counts"]["vm"] == len(list(pool.store.records("VM")))
    assert not {"session", "event"} & {each["class"] for each in batch["events"]}


async def test_the_wire_form_is_the_documented_one(session):
    body = b"".join(
        (
            await session.post(
                xmlrpc.client.dumps((session.session, ["pool"], "", 0.0), "event.from").encode(),
            )
        ).body
    )
    assert b"<name>valid_ref_counts</name><value><struct><member><name>pool</name><value><i4>1</i4>" in body
    assert b"<name>timestamp</name><value>0.0</value>" in body


async def test_a_batch_has_one_event_per_object(session, vms):
    token = await now(session)
    for name in "abc":
        await session.do("VM.set_name_label", vms[0], name)
    await session.do("VM.set_name_label", vms[1], "d")
    batch = await session.do("event.from", ["VM"], token, 0.0)
    assert told(batch) == [("vm", "mod", vms[0]), ("vm", "mod", vms[1])]
    assert batch["events"][0]["snapshot"]["name_label"] == "c"
    assert told(await session.do("event.from", ["VM"], batch["token"], 0.0)) == []


async def test_additions_come_first_and_deletions_last(session, vms):
    old = await session.do("task.create", "old", "")
    token = await now(session)
    await session.do("task.destroy", old)
    await session.do("VM.set_name_label", vms[0], "x")
    new = await session.do("task.create", "new", "")
    await session.do("task.set_progress", new, 0.5)
    passing = await session.do("task.create", "passing", "")
    await session.do("task.destroy", passing)
    batch = await session.do("event.from", ["task", "vm"], token, 0.0)
    assert told(batch) == [("task", "add", new), ("vm", "mod", vms[0]), ("task", "del", old)]
    assert "snapshot" not in batch["events"][2]
    assert batch["valid_ref_counts"]["task"] == 1


@pytest.mark.parametrize("classes", [["vm"], ["VM"], ["*"], ["host", "Vm"], ["nothing", "VM"]])
async def test_classes_are_named_in_any_case(session, vms, classes):
    token = await now(session)
    await session.do("VM.set_name_label", vms[0], "x")
    assert ("vm", "mod", vms[0]) in told(await session.do("event.from", classes, token, 0.0))


async def test_one_object_can_be_watched(session, vms):
    token = await now(session)
    await session.do("VM.set_name_label", vms[0], "x")
    await session.do("VM.set_name_label", vms[1], "x")
    batch = await session.do("event.from", [f"VM/{vms[1]}", f"host/{vms[0]}"], token, 0.0)
    assert told(batch) == [("vm", "mod", vms[1])]


@pytest.mark.parametrize("subscription", ["", "VM/", "/x"])
async def test_bad_subscriptions_are_refused(session, subscription):
    assert await session.fails("event.from", [subscription], "", 0.0) == [
        "EVENT_SUBSCRIPTION_PARSE_FAILURE",
        subscription,
    ]


@pytest.mark.parametrize("token", ["x", "1", "1,2,3", "-1,0", "1,x"])
async def test_bad_tokens_are_refused(session, token):
    assert await session.fails("event.from", ["*"], token, 0.0) == ["EVENT_FROM_TOKEN_PARSE_FAILURE", token]


async def test_a_token_of_another_run_has_lost_its_events(session):
    assert await session.fails("event.from", ["*"], "00000000000000000001,00000000000000000000", 0.0) == ["EVENTS_LOST"]
    assert await session.fails("event.from", ["*"], f"{1 << 60:020d},0", 0.0) == ["EVENTS_LOST"]


async def test_a_token_that_is_too_old_has_lost_its_events(session, vms):
    token = await now(session)
    session.store.log.limit = 5
    for number in range(10):
        await session.do("VM.set_name_label", vms[0], str(number))
    assert await session.fails("event.from", ["VM"], token, 0.0) == ["EVENTS_LOST"]
    assert told(await session.do("event.from", ["VM"], await now(session), 0.0)) == []


async def test_a_reader_waits_only_for_what_it_asked_for(session, vms):
    token = await now(session)
    reader = asyncio.ensure_future(session.do("event.from", [f"VM/{vms[0]}", "network"], token, 60.0))
    await rest()
    await session.do("VM.set_name_label", vms[1], "x")
    await rest()
    assert not reader.done()
    await session.do("VM.set_name_label", vms[0], "x")
    batch = await asyncio.wait_for(reader, 5)
    assert told(batch) == [("vm", "mod", vms[0])]


async def test_a_waiting_reader_misses_nothing_however_much_else_happens(session, vms):
    session.store.log.limit = 5
    reader = asyncio.ensure_future(session.do("event.from", [f"VM/{vms[0]}"], await now(session), 60.0))
    await rest()
    for number in range(20):
        await session.do("VM.set_name_label", vms[1], str(number))
    await session.do("VM.set_name_label", vms[0], "x")
    assert told(await asyncio.wait_for(reader, 5)) == [("vm", "mod", vms[0])]


async def test_a_reader_that_waited_in_vain_gets_a_newer_token(session, vms):
    token = await now(session)
    await session.do("VM.set_name_label", vms[0], "x")
    batch = await session.do("event.from", ["network"], token, 0.01)
    assert batch["events"] == []
    assert batch["token"] > token


async def test_logging_out_wakes_those_who_wait(session):
    reader = asyncio.ensure_future(session.fails("event.from", ["VM"], await now(session), 60.0))
    await session.do("event.register", ["VM"])
    older = asyncio.ensure_future(session.fails("event.next"))
    await rest()
    await session.do("session.logout")
    assert await asyncio.wait_for(reader, 5) == ["SESSION_INVALID", session.session]
    assert await asyncio.wait_for(older, 5) == ["SESSION_INVALID", session.session]


async def test_a_reader_that_hangs_up_leaves_nothing_behind(session):
    reader = asyncio.ensure_future(session.do("event.from", ["VM"], await now(session), 60.0))
    await rest()
    assert session.store.log._waiting
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    await rest()
    assert not session.store.log._waiting


async def test_one_commit_is_never_split(session, vms):
    token = await now(session)
    with session.store.write() as change:
        change.update(vms[0], name_label="one")
        change.update(vms[1], name_label="step")
    batch = await session.do("event.from", ["VM"], token, 0.0)
    assert {each["ref"] for each in batch["events"]} == set(vms[:2])
    assert len({each["id"] for each in batch["events"]}) == 1


async def test_an_injected_event_comes_after_its_token(session, vms):
    token = await session.do("event.inject", "vm", vms[0])
    batch = await session.do("event.from", ["VM"], token, 5.0)
    assert told(batch) == [("vm", "mod", vms[0])]
    assert batch["token"] > token
    assert await session.fails("event.inject", "host", vms[0]) == ["HANDLE_INVALID", "host", vms[0]]
    assert await session.fails("event.inject", "VM", "x") == ["HANDLE_INVALID", "VM", "x"]


async def test_the_current_id_counts_changes(session, vms):
    before = int(await session.do("event.get_current_id"))
    await session.do("VM.set_name_label", vms[0], "x")
    assert int(await session.do("event.get_current_id")) == before + 1


async def test_an_event_of_1_0_names_the_field_that_changed(session, vms):
    await session.do("event.register", ["vm"])
    await session.do("VM.set_name_label", vms[0], "x")
    new = await session.do("task.create", "unasked", "")
    (event,) = await session.do("event.next")
    uuid = await session.do("VM.get_uuid", vms[0])
    snapshot = event.pop("snapshot")
    assert isinstance(event.pop("timestamp"), xmlrpc.client.DateTime)
    assert event == {
        "id": "1",
        "class": "VM",
        "operation": "mod",
        "ref": vms[0],
        "obj_uuid": uuid,
        "field": "name_label",
    }
    assert snapshot["name_label"] == "x"
    await session.do("event.register", ["task"])
    await session.do("task.destroy", new)
    (gone,) = await session.do("event.next")
    assert (gone["id"], gone["operation"], gone["field"]) == ("2", "del", "")
    assert gone["obj_uuid"]


async def test_each_session_counts_its_own_events(session, vms):
    first = session.session
    await session.do("event.register", [])
    second = await session.login()
    await session.do("event.register", [])
    for _ in range(2):
        await session.do("event.inject", "VM", vms[0])
    assert [each["id"] for each in await session.call("event.next", first)] == ["1", "2"]
    assert [each["id"] for each in await session.call("event.next", second)] == ["1", "2"]


async def test_next_waits_for_something_registered(session, vms):
    await session.do("event.register", ["VM"])
    reader = asyncio.ensure_future(session.do("event.next"))
    await rest()
    await session.do("task.create", "unasked", "")
    await rest()
    assert not reader.done()
    await session.do("VM.set_name_label", vms[0], "x")
    assert [each["field"] for each in await asyncio.wait_for(reader, 5)] == ["name_label"]


async def test_only_the_registered_get_events(session, vms):
    assert await session.fails("event.next") == ["SESSION_NOT_REGISTERED", session.session]
    await session.do("event.register", ["VM", "host"])
    await session.do("event.register", ["VM"])
    await session.do("event.unregister", ["host"])
    await session.do("VM.set_name_label", vms[0], "x")
    assert len(await session.do("event.next")) == 1
    await session.do("event.unregister", ["VM"])
    assert await session.fails("event.next") == ["SESSION_NOT_REGISTERED", session.session]


async def test_a_slow_reader_loses_events_and_stalls_nobody(session, vms):
    await session.do("event.register", [])
    session.store.log.limit = 10
    for number in range(30):
        await session.do("VM.set_name_label", vms[0], str(number))
    assert await session.fails("event.next") == ["EVENTS_LOST"]
    await session.do("VM.set_name_label", vms[0], "after")
    assert [each["snapshot"]["name_label"] for each in await session.do("event.next")] == ["after"]


steps = st.lists(st.tuples(st.sampled_from(["create", "rename", "destroy", "read"]), st.integers(0, 5)), max_size=30)


@hypothesis_settings(max_examples=50, deadline=None)
@given(steps)
def test_a_replica_fed_by_batches_equals_the_objects(datamodel: Datamodel, commands):
    store = Store(datamodel)
    replica: dict[str, str] = {}
    model: list[str] = []

    def read(since: int | None) -> int:
        reader = events.Reader(_StoreOnly(store, datamodel), events.Interest(everything=True))
        batch = reader.everything() if since is None else reader._batch(reader._events(since))
        for each in batch["events"]:
            assert (each["operation"] == "add") == (each["ref"] not in replica)
            if each["operation"] == "del":
                del replica[each["ref"]]
            else:
                replica[each["ref"]] = each["snapshot"]["name_label"]
        assert replica == {record.ref: record["name_label"] for record in store.records("network")}
        return int(batch["token"].split(",")[0])

    token = read(None)
    for number, (command, which) in enumerate(commands):
        if command == "read":
            token = read(token)
            continue
        with store.write() as change:
            if command == "create":
                model.append(change.create("network", {"name_label": str(number)}))
            elif model and command == "rename":
                change.update(model[which % len(model)], name_label=str(number))
            elif model:
                change.destroy(model.pop(which % len(model)))
    read(token)


class _StoreOnly:
    """A call that knows a store and its datamodel."""

    def __init__(self, store: Store, model: Datamodel) -> None:
        self._services = {Store: store, Datamodel: model}

    def service(self, kind):
        return self._services[kind]
