"""Alerts: each message of a real pool is told once, with what it is about."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cim_provider import Indication
from xen_providers.alerts import Alerts
from xenapi_client import Change, Operation


@pytest.fixture
def told(provider):
    told: list[Indication] = []
    end = provider.watch(["Xen_AlertIndication"], told.append)
    yield told
    end()
    end()


@pytest.fixture
def all_seen(xen, provider):
    """Wait until the provider has seen all that happened so far."""

    async def all_seen() -> None:
        (pool,) = await xen.call("pool.get_all")
        token = await xen.call("event.inject", "pool", pool)
        assert await provider._inventory.wait_beyond(token, 5)

    return all_seen


async def test_a_crash_is_an_alert(told, provider, xen, halted, all_seen, system_name):
    await xen.call("VM.start", halted, False, False)
    await all_seen()
    (started,) = told
    told.clear()
    await xen.call("message.create", "VM_CRASHED", 3, "VM", await xen.call("VM.get_uuid", halted), "It crashed.")
    await all_seen()
    (alert,) = told
    ((_, record),) = [
        each for each in (await xen.call("message.get_all_records")).items() if each[1]["name"] == "VM_CRASHED"
    ]
    assert alert.class_name == "Xen_AlertIndication"
    name = await system_name(halted)
    assert {key: alert.instance.get(key) for key in ("AlertType", "ProbableCause", "PerceivedSeverity", "EventID")} == {
        "AlertType": 4,  # Processing Error
        "ProbableCause": 48,  # Software Program Abnormally Terminated
        "PerceivedSeverity": 3,  # Degraded/Warning
        "EventID": "VM_CRASHED",
    }
    assert alert.instance.get("Message") == "It crashed."
    assert alert.instance.get("EventTime") == record["timestamp"]
    assert alert.instance.get("IndicationIdentifier") == f"urn:uuid:{record['uuid']}"
    assert alert.instance.get("AlertingElementFormat") == 2
    path = f'root/cimv2:Xen_ComputerSystem.CreationClassName="Xen_ComputerSystem",Name="{name.get("Name")}"'
    assert alert.instance.get("AlertingManagedElement") == path
    assert (started.instance.get("EventID"), started.instance.get("PerceivedSeverity")) == ("VM_STARTED", 2)
    assert started.instance.get("AlertType") == 1
    assert started.instance.get("OtherAlertType")


@pytest.mark.parametrize(
    ("cls", "of", "class_name"),
    [
        ("Host", "host", "Xen_HostComputerSystem"),
        ("SR", "SR", "Xen_StoragePool"),
        ("VDI", "VDI", "Xen_DiskImage"),
        ("Pool", "pool", "Xen_HostPool"),
    ],
)
async def test_it_names_what_it_is_about(told, provider, xen, all_seen, cls, of, class_name):
    ref, *_ = await xen.call(f"{of}.get_all")
    uuid = await xen.call(f"{of}.get_uuid", ref)
    await xen.call("message.create", "LOOK", 1, cls, uuid, "Look at this.")
    await all_seen()
    (alert,) = told
    path = alert.instance.get("AlertingManagedElement")
    assert path in {str(each.name.within("root/cimv2")) for each in provider.view().instances(class_name)}
    assert uuid in path
    assert alert.instance.get("PerceivedSeverity") == 6


@pytest.mark.parametrize("cls", ["VM", "VMPP"])
def test_what_cim_does_not_show_is_named_as_the_xen_api_names_it(provider, cls):
    now = datetime.now(UTC)
    record = {"uuid": "m", "name": "GONE", "priority": "5", "cls": cls, "obj_uuid": "u", "timestamp": now, "body": ""}
    told: list[Indication] = []
    alerts = Alerts()
    alerts.watch(["Xen_AlertIndication"], told.append)
    alerts.tell([Change("message", "ref", Operation.ADD, None, record)], provider.view(), now)
    (alert,) = told
    assert alert.instance.get("AlertingElementFormat") == 1
    assert alert.instance.get("AlertingManagedElement") == f"{cls}/u"
    assert alert.instance.get("OtherAlertingElementFormat")


async def test_messages_that_go_and_those_of_before_are_no_alerts(told, provider, xen, all_seen):
    (pool,) = await xen.call("pool.get_all")
    uuid = await xen.call("pool.get_uuid", pool)
    ref = await xen.call("message.create", "ONE", 5, "Pool", uuid, "One.")
    await all_seen()
    later: list[Indication] = []
    provider.watch(["CIM_AlertIndication", "xen_alertindication"], later.append)
    await xen.call("message.destroy", ref)
    await all_seen()
    assert later == []
    assert [each.instance.get("EventID") for each in told] == ["ONE"]


async def test_messages_of_a_time_without_connection_are_told_afterwards(pool, told, xen, until):
    await pool.stop()
    await pool.start()
    (ref,) = await xen.call("pool.get_all")
    await xen.call("message.create", "MISSED", 2, "Pool", await xen.call("pool.get_uuid", ref), "Meanwhile.")
    await until(lambda _: told)
    assert [each.instance.get("EventID") for each in told] == ["MISSED"]
