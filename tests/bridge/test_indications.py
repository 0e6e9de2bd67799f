"""Subscriptions by pywbem's own subscription manager, received by pywbem's own listener."""

from __future__ import annotations

import queue
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import pywbem

MODIFICATION = "SELECT * FROM Xen_ComputerSystemModification"
STATE_CHANGE = f"{MODIFICATION} WHERE SourceInstance.EnabledState <> PreviousInstance.EnabledState"
MARK = "end of test"


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
def subscribe(bridge) -> Iterator:
    """Subscribe a new listener to a query; everything is taken away again."""
    listeners = []
    with bridge.wbem() as wbem, pywbem.WBEMSubscriptionManager("tests") as manager:
        server = manager.add_server(pywbem.WBEMServer(wbem))

        def subscribe(query: str) -> Subscriber:
            port = free_port()
            listener = pywbem.WBEMListener("127.0.0.1", http_port=port)
            subscriber = Subscriber(listener, f"http://127.0.0.1:{port}")
            listener.add_callback(lambda indication, host: subscriber.received.put(indication))
            listener.start()
            listeners.append(listener)
            destination = manager.add_destination(server, subscriber.url, owned=True, destination_id=str(port))
            filter_ = manager.add_filter(server, "root/cimv2", query, "WQL", owned=True, filter_id=str(port))
            manager.add_subscriptions(server, filter_.path, destination.path, owned=True)
            return subscriber

        yield subscribe
        manager.remove_server(server)
    for listener in listeners:
        listener.stop()


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
