"""Messages to people, as clients raise them and as the server does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from xenapi_core.classes import message

PAST, FUTURE = "20000101T00:00:00Z", "30000101T00:00:00Z"


@pytest.fixture
async def client(api):
    await api.login()
    return api


async def test_a_message_is_raised_read_and_forgotten(client):
    uuid = await client.do("host.get_uuid", (await client.do("host.get_all"))[0])
    token = (await client.do("event.from", ["message"], "", 0.0))["token"]
    ref = await client.do("message.create", "FAN_BROKEN", "2", "Host", uuid, "A fan stands still")
    record = await client.do("message.get_record", ref)
    assert (record["name"], record["priority"], record["cls"]) == ("FAN_BROKEN", "2", "Host")
    assert (record["obj_uuid"], record["body"]) == (uuid, "A fan stands still")
    assert ref in await client.do("message.get", "Host", uuid, PAST)
    assert await client.do("message.get", "Host", uuid, FUTURE) == {}
    assert await client.do("message.get", "VM", uuid, PAST) == {}
    assert ref in await client.do("message.get_since", PAST)
    assert list(await client.do("message.get_all_records_where", 'field "name" = "FAN_BROKEN"')) == [ref]
    events = (await client.do("event.from", ["message"], token, 0.0))["events"]
    assert [(event["operation"], event["ref"]) for event in events] == [("add", ref)]
    await client.do("message.destroy", ref)
    assert ref not in await client.do("message.get_all")


async def test_a_message_is_about_something_there_is(client):
    assert await client.fails("message.create", "X", 2, "VM", "none", "") == ["UUID_INVALID", "VM", "none"]
    assert (await client.fails("message.create", "X", 6, "VM", "none", ""))[:2] == ["INVALID_VALUE", "priority"]
    assert (await client.fails("message.create", "X", 1, "Cat", "none", ""))[:2] == ["INVALID_VALUE", "cls"]


async def test_some_messages_are_forgotten_at_once(client):
    uuid = await client.do("pool.get_uuid", (await client.do("pool.get_all"))[0])
    refs = [await client.do("message.create", "X", 5, "Pool", uuid, "") for _ in range(3)]
    await client.do("message.destroy_many", refs[:2])
    assert set(refs) & set(await client.do("message.get_all")) == {refs[2]}


async def test_the_server_tells_what_became_of_vms(client, pool):
    vm = pool.vm("Halted")
    uuid = pool.record(vm)["uuid"]

    async def told() -> list[str]:
        records = await client.do("message.get", "VM", uuid, PAST)
        return [record["name"] for record in records.values()]

    before = await told()
    for name, arguments in (
        ("start", (False, False)), ("pause", ()), ("unpause", ()), ("hard_reboot", ()), ("suspend", ()),
        ("resume", (False, False)), ("hard_shutdown", ()),
    ):  # fmt: skip
        await client.do(f"VM.{name}", vm, *arguments)
    expected = ["VM_STARTED", "VM_REBOOTED", "VM_SUSPENDED", "VM_RESUMED", "VM_SHUTDOWN"]
    assert (await told())[len(before) :] == expected


async def test_old_messages_go(pool, monkeypatch):
    monkeypatch.setattr(message, "KEPT", 5)
    with pool.store.write() as change:
        refs = [message.post(change, "X", message.Cls.Pool, "x", "") for _ in range(8)]
    message.trim(pool.store)
    assert [each.ref for each in pool.store.records("message")] == refs[3:]


async def test_messages_since_a_time(pool):
    with pool.store.write() as change:
        ref = message.post(change, "X", message.Cls.Pool, "x", "")
    now = datetime.now(UTC)
    assert ref in await pool.do("message.get_since", now - timedelta(minutes=1))
    assert ref not in await pool.do("message.get_since", now + timedelta(minutes=1))
