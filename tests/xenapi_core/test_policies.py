"""The access control policies of Xen-API 1.0 on a Xen without one, and its debug objects."""

from __future__ import annotations

import pytest

from xenapi_core.classes.xspolicy import BAD_LABEL, NOT_LOADED, NOT_SUPPORTED


@pytest.fixture
async def client(api):
    await api.login()
    return api


async def test_there_is_no_policy(client):
    assert await client.do("XSPolicy.get_xstype") == "0"
    state = await client.do("XSPolicy.get_xspolicy")
    assert (state["xserr"], state["type"], state["xs_ref"]) == ("0", "0", "OpaqueRef:NULL")
    for name, arguments in (("set_xspolicy", (1, "<xml/>", 1, True)), ("reset_xspolicy", (1,))):
        state = await client.do(f"XSPolicy.{name}", *arguments)
        assert state["xserr"] == str(NOT_SUPPORTED)
    assert await client.do("XSPolicy.rm_xsbootpolicy") == ""
    assert await client.do("XSPolicy.get_all") == await client.do("ACMPolicy.get_all") == []


async def test_labels_of_resources_are_kept(client):
    await client.do("XSPolicy.set_resource_label", "file:/disk", "ACM:p:red", "")
    assert await client.do("XSPolicy.get_labeled_resources") == {"file:/disk": "ACM:p:red"}
    assert await client.do("XSPolicy.get_resource_label", "file:/disk") == "ACM:p:red"
    wrong = await client.fails("XSPolicy.set_resource_label", "file:/disk", "ACM:p:blue", "")
    assert wrong[:2] == ["SECURITY_ERROR", str(BAD_LABEL)]
    await client.do("XSPolicy.set_resource_label", "file:/disk", "", "ACM:p:red")
    assert await client.do("XSPolicy.get_labeled_resources") == {}
    assert await client.do("XSPolicy.get_resource_label", "file:/disk") == ""


async def test_only_vms_without_a_label_can_run(client):
    assert await client.do("XSPolicy.can_run", "") == "0"
    assert (await client.fails("XSPolicy.can_run", "ACM:p:red"))[:2] == ["SECURITY_ERROR", str(NOT_LOADED)]


async def test_identifiers_of_labels_are_those_of_running_vms(client, pool):
    halted, running = pool.vm("Halted"), pool.vm("Running")
    error = await client.fails("ACMPolicy.get_VM_ssidref", halted)
    assert error == ["VM_BAD_POWER_STATE", halted, "running, paused", "halted"]
    assert (await client.fails("ACMPolicy.get_VM_ssidref", running))[0] == "SECURITY_ERROR"
    for name in ("get_header", "get_XML", "get_map", "get_binary", "get_enforced_binary", "get_record"):
        assert await client.fails(f"ACMPolicy.{name}", "x") == ["HANDLE_INVALID", "ACMPolicy", "x"]


async def test_debug_objects_come_and_go(client):
    ref = await client.do("debug.create", {})
    assert ref in await client.do("debug.get_all")
    assert list(await client.do("debug.get_record", ref)) == ["uuid"]
    await client.do("debug.destroy", ref)
    assert ref not in await client.do("debug.get_all")
    assert await client.fails("debug.return_failure") == ["DEBUG_FAIL", client.session]
