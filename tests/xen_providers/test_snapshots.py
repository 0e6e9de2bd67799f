"""Templates, snapshots, and how snapshots hang together, compared with what the Xen-API says."""

from __future__ import annotations

import pytest

from model_pairs import pairs


@pytest.fixture
async def records(xen) -> dict[str, dict]:
    return await xen.call("VM.get_all_records")


def kind(record) -> str:
    return "Snapshot" if record["is_a_snapshot"] else "Template" if record["is_a_template"] else "SettingData"


def path_of(record) -> str | None:
    return record and f'root/cimv2:Xen_ComputerSystem{kind(record)}.InstanceID="Xen:{record["uuid"]}"'


async def test_each_record_has_settings_of_its_kind(records, provider):
    view = provider.view()
    for word in ("SettingData", "Template", "Snapshot"):
        mine = [each for each in records.values() if kind(each) == word]
        found = view.instances(f"Xen_ComputerSystem{word}")
        assert len(mine) > 1
        for each, record in zip(found, mine, strict=True):
            assert each.get("InstanceID") == f"Xen:{record['uuid']}"
            assert (each.get("ElementName"), each.get("Description")) == (
                record["name_label"],
                record["name_description"],
            )
            assert each.get("VirtualSystemIdentifier") == record["uuid"]
            assert each.get("VirtualSystemType").endswith("HVM" if "order" in record["HVM_boot_params"] else "PV")
            assert each.get("Parent") == path_of(records.get(record["parent"]))
            assert each.get("Children") == [path_of(records[child]) for child in record["children"]]
            assert each.get("PV_Bootloader") == record["PV_bootloader"]
            assert each.get("Other_Config") == [f"{key}={value}" for key, value in record["other_config"].items()]
    assert {each.get("Caption") for each in view.instances("Xen_ComputerSystemTemplate")} == {
        "Template for a Xen virtual machine"
    }


async def test_snapshots_name_their_machine_and_moment(records, provider):
    for each in provider.view().instances("Xen_ComputerSystemSnapshot"):
        record = next(record for record in records.values() if f"Xen:{record['uuid']}" == each.get("InstanceID"))
        machine = records[record["snapshot_of"]]["uuid"]
        assert each.get("SnapshotOf") == (
            f'root/cimv2:Xen_ComputerSystem.CreationClassName="Xen_ComputerSystem",Name="{machine}"'
        )
        assert each.get("SnapshotTime") == record["snapshot_time"]


async def test_what_can_be_asked_does_not_follow_the_state(records, provider):
    found = {each.get("InstanceID"): each for each in provider.view().instances("Xen_ComputerSystemCapabilities")}
    machines = {f"Xen:{each['uuid']}": each for each in records.values() if kind(each) == "SettingData"}
    assert list(found) == list(machines)
    for name, each in found.items():
        states = [] if machines[name]["is_control_domain"] else [2, 3, 4, 6, 9, 10, 11]
        assert (each.get("RequestedStatesSupported"), each.get("ElementNameEditSupported")) == (states, False)
        assert each.get("ElementName") == machines[name]["name_label"]
    assert len({each["power_state"] for each in machines.values()}) > 3


@pytest.mark.parametrize("word", ["ComputerSystem", "HostComputerSystem"])
async def test_each_system_has_capabilities_of_its_own(provider, word):
    view = provider.view()
    assert pairs(view, f"Xen_{word}ElementCapabilities", "ManagedElement", "Capabilities") == {
        (each.get("Name"), f"Xen:{each.get('Name')}") for each in view.instances(f"Xen_{word}")
    }
    assert {tuple(each.get("Characteristics")) for each in view.instances(f"Xen_{word}ElementCapabilities")} == {(2,)}


async def test_hosts_say_what_can_be_asked_of_them(provider):
    found = provider.view().instances("Xen_HostComputerSystemCapabilities")
    assert [each.get("RequestedStatesSupported") for each in found] == [[2, 3, 4, 10]] * 2


async def test_snapshots_and_their_machines_lead_to_each_other(records, provider):
    view, snapshots = provider.view(), [each for each in records.values() if each["is_a_snapshot"]]
    assert pairs(view, "Xen_SnapshotOfVirtualSystem", "Antecedent", "Dependent") == {
        (records[each["snapshot_of"]]["uuid"], f"Xen:{each['uuid']}") for each in snapshots
    }
    assert pairs(view, "Xen_SnapshotDependency", "Antecedent", "Dependent") == {
        (f"Xen:{records[each['parent']]['uuid']}", f"Xen:{each['uuid']}")
        for each in snapshots
        if each["parent"] in records
    }
    followed = {
        (each["uuid"], f"Xen:{records[each['parent']]['uuid']}")
        for each in records.values()
        if kind(each) == "SettingData" and each["parent"] in records
    }
    assert pairs(view, "Xen_MostCurrentSnapshotInBranch", "Antecedent", "Dependent") == followed
    without = [each["uuid"] for each in records.values() if kind(each) == "SettingData" and not each["snapshots"]]
    for system in view.instances("Xen_ComputerSystem"):
        if system.get("Name") in without:
            assert view.references("Xen_SnapshotOfVirtualSystem", system.name) == []
            assert view.references("Xen_MostCurrentSnapshotInBranch", system.name) == []
    assert followed
    assert without


async def test_the_last_applied_snapshot_is_known_if_there_is_a_later_one(records, provider, xen, until):
    def applied(view):
        return pairs(view, "Xen_LastAppliedSnapshot", "Antecedent", "Dependent")

    def is_followed(record):
        later = [
            records[each]["snapshot_time"] > records[record["parent"]]["snapshot_time"] for each in record["snapshots"]
        ]
        return any(later)

    expected = {
        (f"Xen:{records[each['parent']]['uuid']}", each["uuid"])
        for each in records.values()
        if kind(each) == "SettingData" and is_followed(each)
    }
    assert applied(provider.view()) == expected
    before = len(expected)
    assert before > 1
    machines = [each for each in records.values() if each["power_state"] == "Halted" and kind(each) == "SettingData"]
    for ref in [ref for ref, each in records.items() if each in machines]:
        first, last = [await xen.call("VM.snapshot", ref, name) for name in ("first", "last")]
        await xen.call("VM.revert", last)
        await until(lambda view, ref=ref, last=last: view.version.get("VM", ref)["parent"] == last)
        assert applied(provider.view()) == expected, "it may never have been anywhere else"
        await xen.call("VM.revert", first)
        expected.add((f"Xen:{await xen.call('VM.get_uuid', first)}", records[ref]["uuid"]))
        await until(lambda view: applied(view) == expected)
    assert len(expected) > before + 1
    await xen.call("VM.snapshot", ref, "A later one")
    await until(lambda view: len(applied(view)) == len(expected) - 1)


async def test_memory_that_was_saved(records, provider, xen):
    view, images = provider.view(), await xen.call("VDI.get_all_records")
    saved = [each for each in records.values() if each["suspend_VDI"] in images]
    found = view.instances("Xen_MemoryState")
    for state, record in zip(found, saved, strict=True):
        image = images[record["suspend_VDI"]]
        assert state.get("DeviceID") == f"Xen:{record['uuid']}/{image['uuid']}"
        assert (state.get("SystemCreationClassName"), state.get("SystemName")) == (
            ("Xen_ComputerSystemSnapshot", f"Xen:{record['uuid']}")
            if record["is_a_snapshot"]
            else ("Xen_ComputerSystem", record["uuid"])
        )
        assert (state.get("ElementName"), state.get("Description")) == (
            image["name_label"],
            image["name_description"],
        )
        assert state.get("BlockSize") * state.get("NumberOfBlocks") == int(image["virtual_size"])
        assert state.get("Name") == image["uuid"]
    names = {each["uuid"]: f"Xen:{each['uuid']}/{images[each['suspend_VDI']]['uuid']}" for each in saved}
    assert pairs(view, "Xen_ComputerSystemMemoryState", "GroupComponent", "PartComponent") == {
        (each["uuid"], names[each["uuid"]]) for each in saved if not each["is_a_snapshot"]
    }
    assert pairs(view, "Xen_SnapshotMemoryState", "Antecedent", "Dependent") == {
        (names[each["uuid"]], f"Xen:{each['uuid']}") for each in saved if each["is_a_snapshot"]
    }
    assert {each["is_a_snapshot"] for each in saved} == {True, False}
