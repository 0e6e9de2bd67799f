"""Consoles of virtual machines, compared with what the Xen-API says."""

from __future__ import annotations

from model_pairs import pairs

PROTOCOLS = {"vt100": 0, "rfb": 1, "rdp": 2}


async def test_consoles_say_what_the_record_says(xen, provider):
    records = {each["uuid"]: each for each in (await xen.call("console.get_all_records")).values()}
    machines = await xen.call("VM.get_all_records")
    view = provider.view()
    consoles, settings = view.instances("Xen_Console"), view.instances("Xen_ConsoleSettingData")
    for console, each, (uuid, record) in zip(consoles, settings, records.items(), strict=True):
        machine = machines[record["VM"]]
        assert console.get("DeviceID") == each.get("InstanceID") == f"Xen:{machine['uuid']}/{uuid}"
        assert (console.get("SystemName"), console.get("Name")) == (machine["uuid"], machine["name_label"])
        assert console.get("Protocol") == each.get("Protocol") == PROTOCOLS[record["protocol"]]
        assert console.get("URI") == each.get("URI") == record["location"]
        assert each.get("ResourceType") == 24
    assert {each.get("Protocol") for each in consoles} == {0, 1}


async def test_consoles_belong_to_their_machine_and_have_settings(xen, provider):
    machines = await xen.call("VM.get_all_records")
    ids = {
        (machines[each["VM"]]["uuid"], each["uuid"]) for each in (await xen.call("console.get_all_records")).values()
    }
    view = provider.view()
    assert pairs(view, "Xen_ComputerSystemConsole", "GroupComponent", "PartComponent") == {
        (vm, f"Xen:{vm}/{uuid}") for vm, uuid in ids
    }
    assert pairs(view, "Xen_ConsoleSettingDataComponent", "GroupComponent", "PartComponent") == {
        (f"Xen:{vm}", f"Xen:{vm}/{uuid}") for vm, uuid in ids
    }
    assert pairs(view, "Xen_ConsoleSettingsDefineState", "ManagedElement", "SettingData") == {
        (f"Xen:{vm}/{uuid}", f"Xen:{vm}/{uuid}") for vm, uuid in ids
    }
    without = {each["uuid"] for each in machines.values() if not each["consoles"] and not each["is_a_template"]}
    for system in view.instances("Xen_ComputerSystem"):
        if system.get("Name") in without:
            assert view.references("Xen_ComputerSystemConsole", system.name) == []
    assert without


async def test_a_console_of_a_template_is_settings_and_no_device(xen, provider, until):
    machines = await xen.call("VM.get_all_records")
    template = next(ref for ref, each in machines.items() if each["is_a_template"] and not each["is_a_snapshot"])
    before = len(provider.view().instances("Xen_Console"))
    record = {"VM": template, "protocol": "rdp", "location": "", "other_config": {}}
    uuid = await xen.call("console.get_uuid", await xen.call("console.create", record))
    name = f"Xen:{machines[template]['uuid']}/{uuid}"
    found = await until(
        lambda view: [each for each in view.instances("Xen_ConsoleSettingData") if each.get("InstanceID") == name]
    )
    assert [each.get("Protocol") for each in found] == [2]
    assert len(provider.view().instances("Xen_Console")) == before
