"""Subscriptions by pywbem's own subscription manager, received by pywbem's own listener."""

from __future__ import annotations

import queue
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pywbem

MODIFICATION = "SELECT * FROM Xen_ComputerSystemModification"
STATE_CHANGE = f"{MODIFICATION} WHERE SourceInstance.EnabledState <> PreviousInstance.EnabledState"
MARK = "end of test"
RUNNING, COMPLETED = 4, 7


@dataclass
class Subscriber:
    """A listener and what it received."""

    listener: pywbem.WBEMListener
    url: str
    received: queue.Queue[pywbem.CIMInstance] = field(default_factory=queue.Queue)

    def until_mark(self) -> list[pywbem.CIMInstance]:
        """Everything received before the indication that a rename to MARK raises: nothing can still be on its way."""
        instances = []
        while True:
            instance = self.received.get(timeout=20)
            if instance["SourceInstance"]["Description"] == MARK:
                return instances
            instances.append(instance)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def listen() -> Iterator[Callable[[], Subscriber]]:
    """Begin to listen, without a subscription."""
    listeners = []

    def listen() -> Subscriber:
        port = free_port()
        subscriber = Subscriber(pywbem.WBEMListener("127.0.0.1", http_port=port), f"http://127.0.0.1:{port}")
        subscriber.listener.add_callback(lambda indication, host: subscriber.received.put(indication))
        subscriber.listener.start()
        listeners.append(subscriber.listener)
        return subscriber

    yield listen
    for each in listeners:
        each.stop()


@pytest.fixture
def subscribe(bridge, listen) -> Iterator[Callable[[str], Subscriber]]:
    """Subscribe a new listener to a query; everything is taken away again."""
    with bridge.wbem() as wbem, pywbem.WBEMSubscriptionManager("tests") as manager:
        server = manager.add_server(pywbem.WBEMServer(wbem))

        def subscribe(query: str) -> Subscriber:
            subscriber = listen()
            port = subscriber.url.rpartition(":")[2]
            destination = manager.add_destination(server, subscriber.url, owned=True, destination_id=port)
            filter_ = manager.add_filter(server, "root/cimv2", query, "WQL", owned=True, filter_id=port)
            manager.add_subscriptions(server, filter_.path, destination.path, owned=True)
            return subscriber

        yield subscribe
        manager.remove_server(server)


def system(xenapi, vm) -> pywbem.CIMInstanceName:
    keys = {"CreationClassName": "Xen_ComputerSystem", "Name": xenapi.VM.get_uuid(vm)}
    return pywbem.CIMInstanceName("Xen_ComputerSystem", keys, namespace="root/cimv2")


def enabled_state(bridge, xenapi, vm) -> int:
    with bridge.wbem() as wbem:
        return wbem.GetInstance(system(xenapi, vm), PropertyList=["EnabledState"])["EnabledState"]


def by_cim(bridge, xenapi, vm) -> None:
    with bridge.wbem() as wbem:
        value, _ = wbem.InvokeMethod("RequestStateChange", system(xenapi, vm), RequestedState=pywbem.Uint16(2))
    assert value == 4096


def by_xenapi(bridge, xenapi, vm) -> None:
    xenapi.VM.start(vm, False)


@pytest.mark.parametrize("start", [by_cim, by_xenapi])
def test_a_start_is_one_indication(bridge, subscribe, xenapi, halted_vm, until, start):
    every, changes = subscribe(MODIFICATION), subscribe(STATE_CHANGE)
    before = xenapi.VM.get_name_description(halted_vm)

    start(bridge, xenapi, halted_vm)
    # Changes that follow each other at once are one net change: let the first be seen before the mark.
    until(lambda: enabled_state(bridge, xenapi, halted_vm) == 2, "the VM runs")
    xenapi.VM.set_name_description(halted_vm, MARK)
    received = every.until_mark()

    assert [
        (each["PreviousInstance"]["EnabledState"], each["SourceInstance"]["EnabledState"]) for each in received
    ] == [(3, 2)]
    (indication,) = received
    assert indication.classname == "Xen_ComputerSystemModification"
    assert indication["SourceInstance"]["Name"] == xenapi.VM.get_uuid(halted_vm)
    assert indication["IndicationIdentifier"]
    assert indication["IndicationTime"]

    xenapi.VM.hard_shutdown(halted_vm)
    xenapi.VM.set_name_description(halted_vm, before)
    selected = [changes.received.get(timeout=20) for _ in range(2)]
    assert [
        (each["PreviousInstance"]["EnabledState"], each["SourceInstance"]["EnabledState"]) for each in selected
    ] == [
        (3, 2),
        (2, 3),
    ]
    assert selected[0]["IndicationIdentifier"] == indication["IndicationIdentifier"]
    assert changes.received.empty()


def test_a_filter_that_makes_no_sense_is_refused(subscribe):
    with pytest.raises(pywbem.CIMError) as refused:
        subscribe("SELECT * FROM Xen_ComputerSystemModification WHERE SourceInstance.EnabledState = = 3")
    assert refused.value.status_code == pywbem.CIM_ERR_INVALID_QUERY


@pytest.fixture
def mark(xenapi, halted_vm) -> Iterator[Callable[[], None]]:
    """Make the change that until_mark waits for."""
    before = xenapi.VM.get_name_description(halted_vm)
    yield lambda: xenapi.VM.set_name_description(halted_vm, MARK)
    xenapi.VM.set_name_description(halted_vm, before)


def test_the_filters_that_are_there_already(bridge, mark, listen):
    """One is subscribed to by pywbem's manager, which must leave it there."""
    subscriber = listen()
    with bridge.wbem() as wbem, pywbem.WBEMSubscriptionManager("static") as manager:
        server = manager.add_server(pywbem.WBEMServer(wbem))
        chosen = next(
            each
            for each in manager.get_all_filters(server)
            if each["Name"] == "xen-cim:root/cimv2:Xen_ComputerSystemModification"
        )
        destination = manager.add_destination(server, subscriber.url, owned=True, destination_id="static")
        manager.add_subscriptions(server, chosen.path, destination.path, owned=True)
        mark()
        assert subscriber.until_mark() == []
        manager.remove_server(server)
        with pytest.raises(pywbem.CIMError) as refused:
            wbem.DeleteInstance(chosen.path)
        assert refused.value.status_code == pywbem.CIM_ERR_ACCESS_DENIED


def test_a_whole_collection(bridge, xenapi, halted_vm, mark, listen):
    subscriber = listen()
    with bridge.wbem() as wbem:
        wbem.default_namespace = "root/interop"
        handler = wbem.CreateInstance(
            pywbem.CIMInstance("CIM_ListenerDestinationCIMXML", {"Destination": subscriber.url})
        )
        collections = {each["InstanceID"]: each.path for each in wbem.EnumerateInstances("CIM_FilterCollection")}
        assert wbem.AssociatorNames(collections["xen-cim:root/cimv2:Alerts"], AssocClass="CIM_MemberOfCollection")
        made = [
            wbem.CreateInstance(
                pywbem.CIMInstance("CIM_FilterCollectionSubscription", {"Filter": path, "Handler": handler})
            )
            for path in collections.values()
        ]
        mark()
        found = {subscriber.received.get(timeout=20).classname for _ in range(2)}
        assert found == {"Xen_ComputerSystemModification", "Xen_VirtualSystemSettingDataModification"}
        uuid = xenapi.VM.get_uuid(halted_vm)
        xenapi.message.create("VM_CRASHED", 3, "VM", uuid, "It crashed.")
        alert = subscriber.received.get(timeout=20)
        assert (alert.classname, alert["Message"]) == ("Xen_AlertIndication", "It crashed.")
        assert uuid in alert["AlertingManagedElement"]
        for path in (*made, handler):
            wbem.DeleteInstance(path)


def pywbemcli(bridge, *arguments: str) -> str:
    command = [Path(sys.executable).with_name("pywbemcli"), "-s", bridge.url("cim-http"), "-u", bridge.user]
    done = subprocess.run(
        [*command, "-p", bridge.password, "subscription", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("ownership", ["--owned", "--permanent"])
def test_the_subscription_group_of_pywbemcli(bridge, mark, listen, ownership):
    subscriber = listen()
    suffix = ownership.strip("-")
    query = "SELECT * FROM Xen_ComputerSystemModifiedIndication"
    pywbemcli(bridge, "add-destination", f"d-{suffix}", "--listener-url", subscriber.url, ownership)
    pywbemcli(bridge, "add-filter", f"f-{suffix}", "-q", query, "--source-namespaces", "root/cimv2", ownership)
    pywbemcli(bridge, "add-subscription", f"d-{suffix}", f"f-{suffix}", ownership)
    mark()
    indication = subscriber.received.get(timeout=20)
    assert indication.classname == "Xen_ComputerSystemModifiedIndication"
    assert indication["SourceInstance"]["Description"] == MARK
    assert "xen-cim:root/cimv2:Xen_ComputerSystemModification" in pywbemcli(bridge, "list-filters")
    assert f"d-{suffix}" in pywbemcli(bridge, "list-destinations")
    pywbemcli(bridge, "remove-subscription", f"d-{suffix}", f"f-{suffix}")
    pywbemcli(bridge, "remove-filter", f"f-{suffix}", ownership)
    pywbemcli(bridge, "remove-destination", f"d-{suffix}", ownership)
    assert f"d-{suffix}" not in pywbemcli(bridge, "list-destinations")


def test_a_job_is_told_from_its_beginning_to_its_end(bridge, xenapi, halted_vm, subscribe):
    told = subscribe("SELECT * FROM CIM_InstIndication WHERE SourceInstance ISA CIM_ConcreteJob")
    by_cim(bridge, xenapi, halted_vm)
    first = told.received.get(timeout=20)
    assert first.classname == "Xen_JobCreation"
    assert first["SourceInstance"].classname == "Xen_SystemStateChangeJob"
    last = first
    while last["SourceInstance"]["JobState"] != COMPLETED:
        assert last["SourceInstance"]["JobState"] == RUNNING
        last = told.received.get(timeout=20)
        assert last.classname == "Xen_JobModification"
        assert last["SourceInstance"]["InstanceID"] == first["SourceInstance"]["InstanceID"]
    assert last["SourceInstance"]["PercentComplete"] == 100
