"""Dispatch: which call is meant, whether it may be made, and what becomes of mistakes."""

from __future__ import annotations

import asyncio
import xmlrpc.client

import pytest

from netserve.doors import Door
from netserve.messages import Peer
from xenapi_core.access.local import LocalUsers, set_password
from xenapi_core.access.sessions import LOCAL
from xenapi_core.datamodel import NULL, READ_ONLY, Call, Datamodel, Role
from xenapi_core.datamodel.errors import ERRORS
from xenapi_core.datamodel.messages import Message

NOBODY = "OpaqueRef:00000000-0000-0000-0000-000000000000"


@pytest.fixture
async def session(api):
    """The API with a session."""
    await api.login()
    return api


@pytest.fixture
async def vm(session, pool):
    """A halted VM."""
    return pool.vm("Halted")


async def test_values_come_in_the_documented_form(session, vm):
    record = await session.do("VM.get_record", vm)
    assert record["power_state"] == "Halted"
    assert record["memory_static_max"] == str(int(record["memory_static_max"]))
    assert record["is_a_template"] is False
    assert isinstance(record["other_config"], dict)
    assert isinstance(record["snapshot_time"], xmlrpc.client.DateTime)
    assert record["resident_on"] == NULL
    assert (await session.do("VM.get_all_records"))[vm] == record


async def test_the_underscore_form_is_the_same_call(session, vm):
    assert await session.do("VM_get_uuid", vm) == await session.do("VM.get_uuid", vm)


async def test_a_bare_uuid_stands_for_its_reference(session, vm):
    uuid = await session.do("VM.get_uuid", vm)
    assert await session.do("VM.get_by_uuid", uuid) == vm
    assert await session.do("VM.get_record", uuid) == await session.do("VM.get_record", vm)


async def test_both_generations_of_a_call_are_accepted(session, vm):
    await session.do("VM.start", vm, True)
    assert await session.do("VM.get_power_state", vm) == "Paused"
    await session.do("VM.hard_shutdown", vm)
    await session.do("VM.start", vm, False, False)
    assert await session.do("VM.get_power_state", vm) == "Running"


@pytest.mark.parametrize(
    ("method", "parameters", "expected"),
    [
        ("VM.get_record", ("x", "y"), ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.get_record", "1", "2"]),
        ("VM.get_record", (), ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.get_record", "1", "0"]),
        ("VM.start", ("x", True, False, False), ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.start", "3", "4"]),
        ("VM.explode", (), ["MESSAGE_METHOD_UNKNOWN", "VM.explode"]),
        ("nothing", (), ["MESSAGE_METHOD_UNKNOWN", "nothing"]),
        ("Async.VM.get_record", (NOBODY,), ["MESSAGE_METHOD_UNKNOWN", "Async.VM.get_record"]),
        ("system.reboot", (), ["MESSAGE_METHOD_UNKNOWN", "system.reboot"]),
        ("VM.get_record", (NOBODY,), ["HANDLE_INVALID", "VM", NOBODY]),
        ("VM.get_record", ("",), ["HANDLE_INVALID", "VM", NULL]),
        ("VM.get_record", ([],), ["INVALID_VALUE", "self", "a structure"]),
        ("VM.get_by_uuid", ("no-uuid",), ["UUID_INVALID", "VM", "no-uuid"]),
        ("VM.start", (NOBODY, False), ["HANDLE_INVALID", "VM", NOBODY]),
    ],
)
async def test_mistakes_get_the_documented_errors(session, method, parameters, expected):
    assert await session.fails(method, *parameters) == expected


async def test_types_are_checked(session, vm):
    assert await session.fails("VM.start", vm, "maybe") == ["INVALID_VALUE", "start_paused", "maybe"]
    assert await session.fails("VM.set_other_config", vm, "x") == ["INVALID_VALUE", "value", "x"]
    host = (await session.do("host.get_all"))[0]
    assert await session.fails("VM.get_record", host) == ["HANDLE_INVALID", "VM", host]


async def test_the_session_is_checked_before_the_handle_and_after_the_method(session):
    assert await session.error("VM.get_record", "x", NOBODY) == ["SESSION_INVALID", "x"]
    assert await session.error("VM.explode", "x") == ["MESSAGE_METHOD_UNKNOWN", "VM.explode"]
    assert await session.error("VM.get_all") == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.get_all", "0", "0"]
    assert (await session.error("VM.get_all", {}))[0] == "SESSION_INVALID"


async def test_maps_and_sets_can_be_changed_by_their_members(session, vm):
    await session.do("VM.set_other_config", vm, {})
    await session.do("VM.add_to_other_config", vm, "key", "value")
    taken = await session.fails("VM.add_to_other_config", vm, "key", "other")
    assert taken == ["MAP_DUPLICATE_KEY", "VM", "other_config", vm, "key"]
    await session.do("VM.remove_from_other_config", vm, "absent")
    assert await session.do("VM.get_other_config", vm) == {"key": "value"}
    await session.do("VM.remove_from_other_config", vm, "key")
    assert await session.do("VM.get_other_config", vm) == {}
    for add, remove in (("add_tags", "remove_tags"), ("add_to_tags", "remove_from_tags")):
        await session.do(f"VM.{add}", vm, "a")
        await session.do(f"VM.{add}", vm, "a")
        assert await session.do("VM.get_tags", vm) == ["a"]
        await session.do(f"VM.{remove}", vm, "a")
        assert await session.do("VM.get_tags", vm) == []


async def test_the_protocols_own_messages_need_no_session(api):
    names = await api.send("system.listMethods")
    assert {"VM.start", "Async.VM.start", "event.from", "session.login_with_password"} <= set(names)
    assert await api.call("system.isAlive:there", "you") == "you"
    assert await api.call("system.isAlive:there", ["you"]) == ""


async def test_an_unforeseen_error_is_answered_and_the_server_goes_on(session, vm, monkeypatch):
    def broken(call: Call) -> list[str]:
        raise ZeroDivisionError("never mind")

    message = Message(broken, name="get_all", role=READ_ONLY)
    monkeypatch.setattr(message, "cls", "VM")
    monkeypatch.setitem(session.store.model.messages, "VM.get_all", message)
    assert await session.fails("VM.get_all") == ["INTERNAL_ERROR", "ZeroDivisionError: never mind"]
    assert await session.do("VM.get_uuid", vm)


async def test_removed_messages_say_so(session, monkeypatch):
    monkeypatch.setattr(session.store.model, "removed", {"VMPP.get_all_records"})
    assert await session.fails("VMPP.get_all_records") == ["MESSAGE_REMOVED"]


@pytest.mark.parametrize("body", [b"", b"<a>", b"<!DOCTYPE x><methodCall><methodName>m</methodName></methodCall>"])
async def test_what_is_no_call_gets_a_fault(api, body):
    response = await api.post(body)
    assert response.status == 200
    with pytest.raises(xmlrpc.client.Fault, match=r"\."):
        xmlrpc.client.loads(b"".join(response.body))


async def test_only_posts_of_reasonable_size_are_read(api):
    assert (await api.post(b"", "GET")).status == 405
    assert (await api.post(b" " * (3 * 1024 * 1024))).status == 413


async def test_the_content_type_is_bare(api):
    response = await api.post(xmlrpc.client.dumps((), "system.listMethods").encode())
    assert response.headers == (("Content-Type", "text/xml"),)


async def test_a_socket_that_trusts_its_peers_refuses_others(api, tmp_path):
    api.door = Door("socket", path=tmp_path / "s", authentication="peer")
    api.peer = Peer(uid=12345)
    assert (await api.post(b"")).status == 403
    api.peer = Peer(uid=0)
    assert await api.login("anyone", "anything")


async def test_a_role_allows_what_it_includes(api, pool, tmp_path):
    set_password(tmp_path / "users", "reader", "pw", Role.READ_ONLY)
    set_password(tmp_path / "users", "operator", "pw", Role.VM_OPERATOR)
    api.sessions._users[LOCAL] = LocalUsers(tmp_path / "users")
    api.door = Door("tcp", authentication="local")
    vm = pool.vm("Halted")
    await api.login("reader", "pw")
    assert await api.do("VM.get_power_state", vm) == "Halted"
    denied = await api.fails("VM.start", vm, False)
    assert denied[:2] == ["RBAC_PERMISSION_DENIED", "VM.start"]
    assert "pool-admin" in denied[2]
    assert "read-only" not in denied[2]
    await api.login("operator", "pw")
    await api.do("VM.start", vm, False)
    assert (await api.fails("VM.set_name_label", vm, "x"))[0] == "RBAC_PERMISSION_DENIED"


async def test_a_call_whose_client_hangs_up_runs_to_its_end(session, vm):
    call = asyncio.ensure_future(session.do("VM.start", vm, False))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await session.dispatcher.stop(10.0)
    assert await session.do("VM.get_power_state", vm) == "Running"


def test_every_error_that_a_message_declares_is_in_the_catalogue(datamodel: Datamodel):
    unknown = {code for message in datamodel.messages.values() for code in message.errors if code not in ERRORS}
    assert unknown == set()
