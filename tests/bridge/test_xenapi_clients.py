"""Xen-API clients that nobody here wrote, against the running bridge."""

from __future__ import annotations

import http.client
import xmlrpc.client
from urllib.parse import urlsplit

import pytest
import XenAPI

DOORS = ["xenapi-http", "xenapi-https", "xenapi-unix"]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("arguments", [(False,), (False, False)], ids=["1.0", "modern"])
def test_the_classic_snippet_starts_the_last_vm(bridge, door, arguments):
    session = bridge.xenapi(door)
    try:
        names = []
        for vm_ref in session.xenapi.VM.get_all():
            vm_record = session.xenapi.VM.get_record(vm_ref)
            names.append(vm_record["name_label"])
        assert len(names) == len(set(names)) > 24
        assert (vm_record["power_state"], vm_record["is_a_template"]) == ("Halted", False)

        session.xenapi.VM.start(vm_ref, *arguments)

        started = session.xenapi.VM.get_record(vm_ref)
        assert started["power_state"] == "Running"
        assert started["resident_on"] in session.xenapi.host.get_all()
        assert int(started["domid"]) > 0
        with pytest.raises(XenAPI.Failure) as refused:
            session.xenapi.VM.start(vm_ref, *arguments)
        assert refused.value.details == ["VM_BAD_POWER_STATE", vm_ref, "halted", "running"]

        session.xenapi.VM.hard_shutdown(vm_ref)
        assert session.xenapi.VM.get_power_state(vm_ref) == "Halted"
    finally:
        session.xenapi.session.logout()


def test_vm_records_name_two_disks_and_two_nics_each(xenapi):
    for ref, record in xenapi.VM.get_all_records().items():
        if record["is_a_template"] or record["is_control_domain"]:
            continue
        disks = [vbd for vbd in record["VBDs"] if xenapi.VBD.get_type(vbd) == "Disk"]
        assert len(disks) == 2, record["name_label"]
        assert len(record["VIFs"]) == 2, record["name_label"]
        assert {xenapi.VIF.get_VM(vif) for vif in record["VIFs"]} == {ref}


def test_order_of_creation(xenapi):
    refs = xenapi.VM.get_all()
    assert list(xenapi.VM.get_all_records()) == refs
    last = xenapi.VM.get_record(refs[-1])
    assert (last["power_state"], last["is_a_template"], last["is_a_snapshot"]) == ("Halted", False, False)


def test_the_last_events_tell_of_a_start(xenapi, halted_vm):
    token = xenapi.event.inject("VM", halted_vm)
    xenapi.VM.start(halted_vm, False)
    batch = xenapi.event_from(["VM"], token, 5.0)
    ours = [event for event in batch["events"] if event["ref"] == halted_vm]
    assert [(event["operation"], event["class"]) for event in ours] == [("mod", "vm")]
    assert ours[0]["snapshot"]["power_state"] == "Running"


def test_registered_events(xenapi, halted_vm):
    xenapi.event.register(["VM"])
    xenapi.VM.start(halted_vm, False)
    states = []
    while "Running" not in states:
        states += [event["snapshot"]["power_state"] for event in xenapi.event.next() if event["ref"] == halted_vm]
    xenapi.event.unregister(["VM"])
    with pytest.raises(XenAPI.Failure) as refused:
        xenapi.event.next()
    assert refused.value.details[0] == "SESSION_NOT_REGISTERED"


def test_asynchronous_start_is_a_task(xenapi, halted_vm, until):
    task = xenapi.Async.VM.start(halted_vm, False, False)
    until(lambda: xenapi.task.get_status(task) != "pending", "the task ends")
    record = xenapi.task.get_record(task)
    assert (record["status"], record["progress"], record["result"], record["error_info"]) == ("success", 1.0, "", [])
    assert xenapi.VM.get_power_state(halted_vm) == "Running"
    xenapi.task.destroy(task)


class TestBadInput:
    """Each mistake gets the protocol's own error, and the server goes on."""

    def failure(self, call, *arguments):
        with pytest.raises(XenAPI.Failure) as refused:
            call(*arguments)
        return refused.value.details

    def test_wrong_password(self, bridge):
        session = XenAPI.Session(bridge.url("xenapi-http"))
        details = self.failure(session.login_with_password, bridge.user, "wrong")
        assert details[:2] == ["SESSION_AUTHENTICATION_FAILED", bridge.user]

    def test_unknown_message(self, xenapi):
        assert self.failure(xenapi.VM.levitate) == ["MESSAGE_METHOD_UNKNOWN", "VM.levitate"]

    def test_unknown_class(self, xenapi):
        assert self.failure(xenapi.Carpet.get_all) == ["MESSAGE_METHOD_UNKNOWN", "Carpet.get_all"]

    def test_wrong_number_of_parameters(self, xenapi):
        assert self.failure(xenapi.VM.get_record) == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.get_record", "1", "0"]

    def test_wrong_type(self, xenapi, halted_vm):
        details = self.failure(xenapi.VM.set_name_label, halted_vm, {"a": "b"})
        assert details[:2] == ["INVALID_VALUE", "value"]

    def test_unknown_handle(self, xenapi):
        assert self.failure(xenapi.VM.get_record, "OpaqueRef:none") == ["HANDLE_INVALID", "VM", "OpaqueRef:none"]

    def test_unknown_session(self, bridge):
        proxy = xmlrpc.client.ServerProxy(bridge.url("xenapi-http"))
        answer = proxy.VM.get_all("OpaqueRef:nobody")
        assert answer == {"Status": "Failure", "ErrorDescription": ["SESSION_INVALID", "OpaqueRef:nobody"]}

    def test_malformed_xml_is_a_fault(self, bridge, xenapi):
        connection = http.client.HTTPConnection(urlsplit(bridge.url("xenapi-http")).netloc, timeout=10)
        connection.request("POST", "/", b"<methodCall><methodName>VM.get_all</metho", {"Content-Type": "text/xml"})
        answer = connection.getresponse()
        with pytest.raises(xmlrpc.client.Fault):
            xmlrpc.client.loads(answer.read())
        assert xenapi.VM.get_all()
