"""Lifecycle indications from a real pool: one for each change that shows, none for what does not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from cim_provider import Indication
from xen_providers.indications import INDICATIONS, STYLES, SUBJECTS
from xen_providers.methods.work import JOB
from xen_providers.provider import CLASSES
from xenapi_client import XenApiError

KINDS = ["Xen_ComputerSystemCreation", "Xen_ComputerSystemDeletion", "Xen_ComputerSystemModification"]


@pytest.fixture
def told(provider):
    """What a watcher of all three classes is told."""
    told: list[Indication] = []
    end = provider.watch(KINDS, told.append)
    yield told
    end()


@pytest.fixture
def all_seen(xen, provider):
    """Wait until the provider has seen all that happened so far."""

    async def all_seen() -> None:
        (pool,) = await xen.call("pool.get_all")
        token = await xen.call("event.inject", "pool", pool)
        assert await provider._inventory.wait_beyond(token, 5)

    return all_seen


def change(indication: Indication, name: str):
    ends = (indication.instance.get(each) for each in ("PreviousInstance", "SourceInstance"))
    return tuple(None if each is None else each.get(name) for each in ends)


async def test_a_start_is_one_modification(told, xen, halted, all_seen, system_name):
    before = datetime.now(UTC)
    await xen.call("VM.start", halted, False, False)
    await all_seen()
    (indication,) = told
    assert indication.class_name == "Xen_ComputerSystemModification"
    assert change(indication, "EnabledState") == (3, 2)
    previous, current = change(indication, "TimeOfLastStateChange")
    assert previous is None
    assert before <= current <= datetime.now(UTC) + timedelta(seconds=1)
    assert indication.instance.get("IndicationTime") == current
    assert indication.instance.get("IndicationIdentifier")
    name = await system_name(halted)
    assert indication.instance.get("SourceInstance").name == name
    path = f'root/cimv2:Xen_ComputerSystem.CreationClassName="Xen_ComputerSystem",Name="{name.get("Name")}"'
    assert indication.instance.get("SourceInstanceModelPath") == path


@pytest.mark.parametrize(
    ("way", "states"),
    [
        (["pause", "unpause"], [(2, 9), (9, 2)]),
        (["suspend", "resume"], [(2, 6), (6, 2)]),
        (["hard_shutdown"], [(2, 3)]),
        (["clean_shutdown"], [(2, 3)]),
        (["hard_reboot", "clean_reboot"], []),
    ],
)
async def test_each_change_of_state_is_one_modification(told, xen, halted, all_seen, way, states):
    await xen.call("VM.start", halted, False, False)
    await all_seen()
    told.clear()
    for message in way:
        await xen.call(f"VM.{message}", halted, *((False, False) if message == "resume" else ()))
        await all_seen()
    assert [
        change(each, "EnabledState")
        for each in told
        if change(each, "EnabledState")[0] != change(each, "EnabledState")[1]
    ] == states
    assert len(told) == len(states)


async def test_what_does_not_show_is_not_told(told, xen, halted, all_seen):
    await xen.call("VM.set_user_version", halted, 7)
    await xen.call("VM.add_to_other_config", halted, "note", "x")
    metrics = await xen.call("VM.get_metrics", halted)
    await xen.call("VM_metrics.set_other_config", metrics, {"a": "b"})
    await xen.call("event.inject", "VM", halted)
    await all_seen()
    assert told == []


async def test_a_rename_and_back_is_told_twice(told, xen, halted, all_seen):
    name = await xen.call("VM.get_name_label", halted)
    for label in ["another", name]:
        await xen.call("VM.set_name_label", halted, label)
        await all_seen()
    assert [change(each, "ElementName") for each in told] == [(name, "another"), ("another", name)]


async def test_coming_and_going(told, xen, halted, all_seen):
    uuid = await xen.call("VM.get_uuid", halted)
    await xen.call("VM.destroy", halted)
    await all_seen()
    (deletion,) = told
    assert deletion.class_name == "Xen_ComputerSystemDeletion"
    assert deletion.instance.get("SourceInstance").get("Name") == uuid
    assert deletion.instance.get("PreviousInstance") is None


async def test_becoming_a_template_is_going(told, xen, halted, all_seen):
    await xen.call("VM.set_is_a_template", halted, True)
    await all_seen()
    await xen.call("VM.set_is_a_template", halted, False)
    await all_seen()
    assert [each.class_name for each in told] == ["Xen_ComputerSystemDeletion", "Xen_ComputerSystemCreation"]


async def test_being_called_otherwise_is_going_and_coming(provider, xen, all_seen):
    """The port of a switch is named by the switch: at another switch it is another one."""
    told: list[Indication] = []
    provider.watch(
        ["Xen_LogicalDeviceCreation", "Xen_LogicalDeviceDeletion", "Xen_LogicalDeviceModification"], told.append
    )
    vif, record = next(iter((await xen.call("VIF.get_all_records")).items()))
    networks = await xen.call("network.get_all_records")
    other = next(ref for ref in networks if ref != record["network"])
    await xen.call("VIF.move", vif, other)
    await all_seen()
    ports = [each for each in told if each.instance.get("SourceInstance").class_name == "Xen_VirtualSwitchPort"]
    assert [(each.class_name, each.instance.get("SourceInstance").get("SystemName")) for each in ports] == [
        ("Xen_LogicalDeviceDeletion", networks[record["network"]]["uuid"]),
        ("Xen_LogicalDeviceCreation", networks[other]["uuid"]),
    ]


async def test_only_what_is_watched_is_told(provider, xen, halted, all_seen):
    told: list[Indication] = []
    end = provider.watch(["xen_computersystemdeletion"], told.append)
    await xen.call("VM.start", halted, False, False)
    await all_seen()
    assert told == []
    end()
    end()
    await xen.call("VM.hard_shutdown", halted)
    await xen.call("VM.destroy", halted)
    await all_seen()
    assert told == []


async def test_a_sink_that_fails_harms_no_other(provider, told, xen, halted, all_seen):
    def fail(_indication):
        raise RuntimeError("sink")

    provider.watch(KINDS, fail)
    await xen.call("VM.start", halted, False, False)
    await all_seen()
    assert len(told) == 1


async def test_what_happened_while_the_server_was_away_is_told_once(
    pool, provider, told, xen, halted, until, system_name
):
    name = await system_name(halted)
    await xen.call("VM.set_name_label", halted, "first")
    await until(lambda view: view.instance(name).get("ElementName") == "first")
    told.clear()
    view = provider.view()
    hosts = view.instances("Xen_HostComputerSystem")
    await pool.stop()
    assert provider.view() is view, "served meanwhile"
    await pool.start()
    await xen.call("VM.set_name_label", halted, "second")
    await until(lambda view: view.instance(name).get("ElementName") == "second")
    assert [change(each, "ElementName") for each in told] == [("first", "second")]
    assert provider.view().instances("Xen_HostComputerSystem") is hosts
    await asyncio.sleep(0)


ALL = [each.name for each in INDICATIONS]
OLDER = [each.name for each in INDICATIONS if not each.name.endswith("Indication")]
"""The names as in xs-cim, under which one is told who watches both."""
WATCHED = [each for each in CLASSES if any(kind.is_about(each) for kind in INDICATIONS)]


@pytest.mark.parametrize("kind", INDICATIONS, ids=lambda each: each.name)
def test_every_indication_is_about_something(kind):
    assert any(kind.is_about(each) for each in CLASSES)


async def change_everything(xen, vm):
    """Yield after each of many changes of all that is watched."""
    (pool,) = await xen.call("pool.get_all")
    yield await xen.call("VM.start", vm, False, False)
    snapshot = await xen.call("VM.snapshot", vm, "before")
    yield
    yield await xen.call("VM.set_name_label", snapshot, "before all that")
    yield await xen.call("VM.hard_shutdown", vm)
    sr = await xen.call("pool.get_default_SR", pool)
    disk = {"name_label": "d", "SR": sr, "virtual_size": "1048576", "type": "user", "sharable": False}
    vdi = await xen.call("VDI.create", {**disk, "read_only": False, "other_config": {}})
    yield
    (place, *_) = await xen.call("VM.get_allowed_VBD_devices", vm)
    drive = {"VM": vm, "VDI": vdi, "userdevice": place, "bootable": False, "mode": "RW", "type": "Disk"}
    parameters = {"empty": False, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}}
    vbd = await xen.call("VBD.create", {**drive, **parameters})
    yield
    yield await xen.call("SR.set_name_label", sr, "another name")
    yield await xen.call("VM.set_VCPUs_params", vm, {"weight": "512"})
    network = await xen.call("network.create", {"name_label": "n", "name_description": "", "other_config": {}})
    yield
    yield await xen.call("network.set_name_label", network, "m")
    yield await xen.call("network.destroy", network)
    host = await xen.call("pool.get_master", pool)
    yield await xen.call("host.set_name_label", host, "host of another name")
    yield await xen.call("VBD.destroy", vbd)
    yield await xen.call("VM.revert", snapshot)
    yield await xen.call("VM.destroy", snapshot)
    yield await xen.call("VDI.destroy", vdi)
    yield await xen.call("VM.set_is_a_template", vm, True)
    yield await xen.call("VM.set_name_label", vm, "template")
    yield await xen.call("VM.set_is_a_template", vm, False)
    yield await xen.call("VM.destroy", vm)
    task = await xen.call("task.create", "work", "")
    yield await xen.call("task.add_to_other_config", task, JOB, "Xen_VirtualSystemMigrationServiceJob")
    yield await xen.call("task.set_progress", task, 0.5)
    yield await xen.call("task.destroy", task)


def seen(view):
    """What is served of all that is watched: properties by name."""
    return {one.name.identity: dict(one.properties) for each in WATCHED for one in view.instances(each.name)}


async def test_indications_explain_every_difference(provider, xen, halted, all_seen):
    """Applied to what was there they give what is there, at each step, and each of them made a difference."""
    told: list[Indication] = []
    other: list[Indication] = []
    provider.watch(ALL, told.append)
    provider.watch([name for name in ALL if name not in OLDER], other.append)
    known = seen(provider.view())
    kinds = set()
    async for _ in change_everything(xen, halted):
        await all_seen()
        touched = []
        for each in told:
            instance = each.instance.get("SourceInstance")
            identity, before = instance.name.identity, each.instance.get("PreviousInstance")
            touched.append(identity)
            kinds.add(each.class_name)
            if each.class_name.endswith("Deletion"):
                assert known.pop(identity) == instance.properties
            elif each.class_name.endswith("Creation"):
                assert identity not in known
                known[identity] = dict(instance.properties)
            else:
                assert known[identity] == before.properties != instance.properties
                changed = {
                    name
                    for name in {*before.properties, *instance.properties}
                    if before.get(name) != instance.get(name)
                }
                assert set(each.instance.get("ChangedPropertyNames")) == changed
                known[identity] = dict(instance.properties)
        assert known == seen(provider.view())
        assert told
        assert [each.instance.get("SourceInstance") for each in other] == [
            each.instance.get("SourceInstance") for each in told
        ]
        told.clear()
        other.clear()
    stems = [name for name in SUBJECTS if name != "Xen_ComputerSystemMigrationJob"]  # which is told of as a job
    coming_and_going = {"Xen_HostComputerSystemCreation", "Xen_HostComputerSystemDeletion"}
    assert kinds == {stem + end for stem in stems for end in STYLES[0].values()} - coming_and_going


async def test_after_lost_events_the_net_difference_is_told(
    provider, told, xen, halted, monkeypatch, until, system_name
):
    name = await system_name(halted)
    records = await xen.call("VM.get_all_records")
    other = next(
        ref
        for ref, each in records.items()
        if ref != halted and each["power_state"] == "Halted" and not each["is_a_template"]
    )
    gone = await system_name(other)
    call, held, lost = provider._connection.call, asyncio.Event(), []

    async def lose(method, *parameters, **options):
        """Hold back the next events, and then say that they are lost."""
        if method != "event.from" or lost:
            return await call(method, *parameters, **options)
        await held.wait()
        lost.append(method)
        raise XenApiError("EVENTS_LOST", [])

    monkeypatch.setattr(provider._connection, "call", lose)
    await xen.call("VM.set_name_label", halted, "seen")
    await until(lambda view: view.instance(name).get("ElementName") == "seen")
    told.clear()
    for label in ("lost", "and", "found"):
        await xen.call("VM.set_name_label", halted, label)
    await xen.call("VM.destroy", other)
    held.set()
    await until(lambda view: view.instance(gone) is None)
    assert lost
    assert {each.class_name: change(each, "ElementName") for each in told} == {
        "Xen_ComputerSystemModification": ("seen", "found"),
        "Xen_ComputerSystemDeletion": (None, records[other]["name_label"]),
    }
    assert len(told) == 2
