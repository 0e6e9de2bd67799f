"""Key-value pairs: what guests find in xenstore under vm-data, if it is meant to be seen."""

from __future__ import annotations

import pytest

from cim_provider import Instance, MethodResult
from model_pairs import pairs

INVALID_PARAMETER = 4


def told(record) -> dict[str, str]:
    if record["other_config"].get("kvp_enabled") != "true":
        return {}
    return {
        key.removeprefix("vm-data/"): text
        for key, text in record["xenstore_data"].items()
        if key.startswith("vm-data/")
    }


def shown(view, uuid) -> dict[str, str]:
    return {each.get("Key"): each.get("Value") for each in view.instances("Xen_KVP") if each.get("Vm_uuid") == uuid}


async def test_pairs_are_devices_of_machines_and_settings_of_templates_too(xen, provider):
    records = list((await xen.call("VM.get_all_records")).values())
    view = provider.view()
    assert [
        (each.get("InstanceID"), each.get("key"), each.get("value"), each.get("VM_ID"))
        for each in view.instances("Xen_KVPSettingData")
    ] == [
        (f"Xen:{each['uuid']}/{key}", key, text, each["uuid"]) for each in records for key, text in told(each).items()
    ]
    machines = [each for each in records if not each["is_a_template"]]
    assert [
        (each.get("DeviceID"), each.get("SystemName"), each.get("Key"), each.get("Value"))
        for each in view.instances("Xen_KVP")
    ] == [
        (f"Xen:{each['uuid']}/{key}", each["uuid"], key, text) for each in machines for key, text in told(each).items()
    ]
    assert len(machines) > len([each for each in machines if told(each)]) > 1


async def test_pairs_belong_to_their_machine_and_to_their_settings(xen, provider):
    records = list((await xen.call("VM.get_all_records")).values())
    view = provider.view()
    of_all = {(each["uuid"], f"Xen:{each['uuid']}/{key}") for each in records for key in told(each)}
    machines = {each["uuid"] for each in records if not each["is_a_template"]}
    of_machines = {(uuid, name) for uuid, name in of_all if uuid in machines}
    assert pairs(view, "Xen_ComputerSystemKVP", "GroupComponent", "PartComponent") == of_machines
    assert pairs(view, "Xen_KVPSettingsDefineState", "ManagedElement", "SettingData") == {
        (name, name) for _, name in of_machines
    }
    assert pairs(view, "Xen_KVPSettingDataComponent", "GroupComponent", "PartComponent") == {
        (f"Xen:{uuid}", name) for uuid, name in of_all
    }
    assert of_machines < of_all


async def test_only_what_is_meant_to_be_seen_is_shown(xen, provider, halted, until):
    uuid = await xen.call("VM.get_uuid", halted)
    data = {"vm-data/a/b": "1", "vm-data/c": "", "vm-data/Processor": "3", "vm-data/Memory": "4", "device/x": "2"}
    await xen.call("VM.set_other_config", halted, {})
    await xen.call("VM.set_xenstore_data", halted, data)
    await until(lambda view: view.version.get("VM", halted)["xenstore_data"] == data)
    assert shown(provider.view(), uuid) == {}
    await xen.call("VM.set_other_config", halted, {"kvp_enabled": "true"})
    await until(lambda view: shown(view, uuid))
    view = provider.view()
    assert shown(view, uuid) == {"a/b": "1", "c": ""}
    for each in view.instances("Xen_KVP"):
        assert view.instance(each.name) is each
    await xen.call("VM.set_xenstore_data", halted, {"vm-data/c": "3"})
    await until(lambda view: shown(view, uuid) == {"c": "3"})


@pytest.mark.parametrize("key", ["Processor", "Memory"])
async def test_a_key_cannot_be_what_the_settings_of_processors_or_memory_are_named_by(
    xen, provider, context, halted, key
):
    (service,) = provider.view().instances("Xen_VirtualSystemManagementService")
    given = {
        "AffectedConfiguration": await xen.call("VM.get_uuid", halted),
        "ResourceSettings": [Instance("Xen_KVPSettingData", {"key": key, "value": "x"})],
    }
    result = await provider.invoke_method(context, service.name, "AddResourceSettings", given)
    assert result == MethodResult(INVALID_PARAMETER)
    assert f"vm-data/{key}" not in await xen.call("VM.get_xenstore_data", halted)
