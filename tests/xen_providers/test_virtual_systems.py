"""What CIM shows of a real pool, compared with what the Xen-API says."""

from __future__ import annotations

import pytest

from cim_provider import InstanceName
from xen_providers.methods.state_changes import available_states

STATES = {  # power_state: EnabledState, OperationalStatus, Status, HealthState
    "Halted": (3, [15], "Stopped", 5),
    "Paused": (9, [15], "Stopped", 5),
    "Running": (2, [2], "OK", 5),
    "Suspended": (6, [10], "Stopped", 5),
    "Crashed": (3, [6], "Error", 20),
    "Unknown": (0, [0], "No Contact", 5),
}
PROPERTIES = ("EnabledState", "OperationalStatus", "Status", "HealthState")


def by_uuid(instances, key="Name"):
    return {each.properties[key].removeprefix("Xen:"): each.properties for each in instances}


async def test_systems_are_the_vms_that_are_neither_template_nor_snapshot(xen, provider):
    records = (await xen.call("VM.get_all_records")).values()
    machines = {each["uuid"]: each for each in records if not each["is_a_template"] and not each["is_a_snapshot"]}
    assert len(machines) < len(records)
    systems = by_uuid(provider.view().instances("Xen_ComputerSystem"))
    assert list(systems) == list(machines), "in the order of the Xen-API"
    hosts = {ref: each["uuid"] for ref, each in (await xen.call("host.get_all_records")).items()}
    metrics = await xen.call("VM_metrics.get_all_records")
    for uuid, record in machines.items():
        system = systems[uuid]
        assert tuple(system[name] for name in PROPERTIES) == STATES[record["power_state"]]
        assert system["ElementName"] == record["name_label"]
        assert system["Description"] == record["name_description"]
        assert system["InstanceID"] == f"Xen:{uuid}"
        assert system["Caption"] == ("XenServer Host" if record["is_control_domain"] else "Xen Virtual Machine")
        assert system["RequestedState"] == (12 if record["is_control_domain"] else 5)
        assert system.get("Host") == hosts.get(record["resident_on"])
        assert (
            system.get("InstallDate", metrics[record["metrics"]]["install_time"])
            == metrics[record["metrics"]]["install_time"]
        )
    assert {each["Caption"] for each in systems.values()} == {"XenServer Host", "Xen Virtual Machine"}
    assert {each["EnabledState"] for each in systems.values()} >= {2, 3, 6, 9}


async def test_settings_say_what_the_record_says(xen, provider):
    records = {each["uuid"]: (ref, each) for ref, each in (await xen.call("VM.get_all_records")).items()}
    settings = by_uuid(provider.view().instances("Xen_ComputerSystemSettingData"), "InstanceID")
    assert list(settings) == list(by_uuid(provider.view().instances("Xen_ComputerSystem")))
    for uuid, found in settings.items():
        ref, record = records[uuid]
        hvm = "order" in record["HVM_boot_params"]
        assert found["VirtualSystemIdentifier"] == uuid
        assert found["VirtualSystemType"] == ("DMTF:Xen:HVM" if hvm else "DMTF:Xen:PV")
        assert found["Platform"] == [f"{key}={value}" for key, value in record["platform"].items()]
        assert found["HVM_ShadowMultiplier"] == record["HVM_shadow_multiplier"]
        assert found["Xen_Tools_AreRunning"] == ("clean_shutdown" in record["allowed_operations"])
        free = await xen.call("VM.get_allowed_VBD_devices", ref), await xen.call("VM.get_allowed_VIF_devices", ref)
        assert found["AvailableBlockDeviceSlots"].split(",") == free[0]
        assert found["AvailableNetworkInterfaceSlots"].split(",") == free[1]


async def test_hosts_say_what_the_record_says(xen, provider):
    records = (await xen.call("host.get_all_records")).values()
    hosts = by_uuid(provider.view().instances("Xen_HostComputerSystem"))
    assert list(hosts) == [each["uuid"] for each in records]
    for record in records:
        found = hosts[record["uuid"]]
        software = record["software_version"]
        assert found["ElementName"] == record["name_label"]
        assert (found["EnabledState"], found["OperationalStatus"]) == (2, [2])
        assert found["OtherIdentifyingInfo"] == [
            record["address"],
            software["product_brand"],
            software["product_version"],
            software["build_number"],
        ]
        assert f"{found['StartTime'].timestamp():.0f}." == record["other_config"]["boot_time"]


async def test_vms_are_hosted_where_they_run(xen, provider):
    view = provider.view()
    hosts = {ref: each["uuid"] for ref, each in (await xen.call("host.get_all_records")).items()}
    expected = {
        (hosts[each["resident_on"]], each["uuid"])
        for each in (await xen.call("VM.get_all_records")).values()
        if each["resident_on"] in hosts and not each["is_a_template"]
    }
    pairs = {
        (each.properties["Antecedent"].get("Name"), each.properties["Dependent"].get("Name"))
        for each in view.instances("Xen_HostedComputerSystem")
    }
    assert pairs == expected
    assert len({host for host, _ in pairs}) == 2
    for host in view.instances("Xen_HostComputerSystem"):
        found = view.references("Xen_HostedComputerSystem", host.name, "Antecedent")
        assert {each.properties["Dependent"].get("Name") for each in found} == {
            vm for uuid, vm in expected if uuid == host.name.get("Name")
        }
        assert view.references("Xen_HostedComputerSystem", host.name, "Dependent") == []


@pytest.mark.parametrize(
    "association", ["Xen_ComputerSystemSettingsDefineState", "Xen_ComputerSystemElementSettingData"]
)
async def test_each_system_has_its_settings(provider, association):
    view = provider.view()
    for system in view.instances("Xen_ComputerSystem"):
        (pair,) = view.references(association, system.name)
        settings = InstanceName("Xen_ComputerSystemSettingData", (("InstanceID", f"Xen:{system.name.get('Name')}"),))
        assert pair.properties["ManagedElement"] == system.name
        assert pair.properties["SettingData"] == settings
        assert [each.name for each in view.references(association, settings, "SettingData")] == [pair.name]
        assert view.instance(settings) is not None


async def test_all_power_states_have_their_values(provider, xen, halted, until, system_name):
    name = await system_name(halted)
    for message, state in [("start", "Running"), ("pause", "Paused"), ("unpause", "Running"), ("suspend", "Suspended")]:
        await xen.call(f"VM.{message}", halted, *((False, False) if message == "start" else ()))
        await until(lambda view, state=state: view.instance(name).get("EnabledState") == STATES[state][0])
        system = provider.view().instance(name).properties
        assert tuple(system[each] for each in PROPERTIES) == STATES[state]


async def test_what_other_config_says_of_the_owner(provider, xen, halted, until, system_name):
    name = await system_name(halted)
    owner = {"owner": "Ann", "owner_contact": "ann@example.org", "roles": "web, db"}
    await xen.call("VM.set_other_config", halted, owner)
    await until(lambda view: view.instance(name).get("Roles"))
    system = provider.view().instance(name)
    assert system.get("PrimaryOwnerName") == "Ann"
    assert system.get("PrimaryOwnerContact") == "ann@example.org"
    assert system.get("Roles") == ["web", "db"]


@pytest.mark.parametrize(
    ("control", "state", "allowed", "current", "expected"),
    [
        (False, "Halted", ["start", "clone", "destroy"], {}, [2]),
        (False, "Paused", ["unpause", "hard_shutdown"], {}, [2, 32768]),
        (False, "Suspended", ["resume", "resume_on"], {}, [2]),
        (
            False,
            "Running",
            ["clean_shutdown", "suspend", "pause", "clean_reboot", "hard_reboot"],
            {},
            [3, 4, 6, 9, 10, 11, 32769],
        ),
        (False, "Halted", [], {"task": "start"}, [2]),
        (False, "Running", [], {"task": "pause"}, [3, 4, 6, 9, 10, 11, 32768, 32769]),
        (False, "Running", None, None, [3, 4, 6, 9, 10, 11, 32768, 32769]),
        (False, "Unknown", None, None, []),
        (True, "Running", ["changing_VCPUs"], {"task": "x"}, []),
    ],
)
def test_available_states(control, state, allowed, current, expected):
    assert available_states(control, state, allowed, current) == expected
