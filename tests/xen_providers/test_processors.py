"""Processors of virtual machines and of hosts, compared with what the Xen-API says."""

from __future__ import annotations

import pytest

from xen_providers.processors import FAMILIES, _family, _mask, _pinned

XEON = 179


@pytest.fixture
async def pinned(xen) -> tuple[str, dict]:
    """A VM that runs on two processors of its host and no others."""
    records = await xen.call("VM.get_all_records")
    return next(
        (ref, each)
        for ref, each in records.items()
        if each["power_state"] == "Running" and "mask" in each["VCPUs_params"]
    )


async def test_virtual_processors_are_as_many_as_a_machine_can_have(xen, provider):
    records = (await xen.call("VM.get_all_records")).values()
    machines = [each for each in records if not each["is_a_template"]]
    found = provider.view().instances("Xen_Processor")
    assert [(each.get("SystemName"), each.get("DeviceID")) for each in found] == [
        (each["uuid"], f"Xen:{each['uuid']}/VCPU{number}")
        for each in machines
        for number in range(int(each["VCPUs_max"]))
    ]
    labels = {each["uuid"]: each["name_label"] for each in machines}
    for each in found:
        assert each.get("ElementName") == labels[each.get("Name")]
        assert (each.get("EnabledState"), each.get("RequestedState")) == (5, 12)
        assert each.get("Role") == "Virtual Processor"


async def test_a_virtual_processor_has_the_speed_of_the_hosts_only_while_it_is_on_one(xen, provider):
    cpus = await xen.call("host_cpu.get_all_records")
    speed = {(each["host"], int(each["number"])): int(each["speed"]) for each in cpus.values()}
    machines = {each["uuid"]: each for each in (await xen.call("VM.get_all_records")).values()}
    seen = set()
    for each in provider.view().instances("Xen_Processor"):
        machine = machines[each.get("SystemName")]
        expected = speed.get((machine["resident_on"], int(each.get("DeviceID").rpartition("VCPU")[2])))
        assert each.get("CurrentClockSpeed") == each.get("MaxClockSpeed") == expected
        assert each.get("Family") == (XEON if expected else None)
        assert each.get("ExternalBusClockSpeed") is None
        seen.add(expected is None)
    assert seen == {True, False}


async def test_load_is_in_percent_and_only_of_what_runs(xen, provider):
    await provider.refresh(["Xen_Processor"])
    machines = {each["uuid"]: each for each in (await xen.call("VM.get_all_records")).values()}
    loads = {}
    for each in provider.view().instances("Xen_Processor"):
        loads.setdefault(machines[each.get("SystemName")]["power_state"], []).append(each.get("LoadPercentage"))
    assert set(loads["Halted"]) == {None}
    assert all(0 <= load <= 100 for load in loads["Running"])
    assert any(load > 0 for load in loads["Running"])


async def test_host_processors_say_what_the_record_says(xen, provider):
    cpus = {each["uuid"]: each for each in (await xen.call("host_cpu.get_all_records")).values()}
    hosts = {ref: each["uuid"] for ref, each in (await xen.call("host.get_all_records")).items()}
    found = provider.view().instances("Xen_HostProcessor")
    assert [each.get("UniqueID") for each in found] == list(cpus)
    for each in found:
        cpu = cpus[each.get("UniqueID")]
        assert each.get("DeviceID") == f"Xen:{hosts[cpu['host']]}/{cpu['uuid']}"
        assert each.get("SystemName") == hosts[cpu["host"]]
        assert each.get("CurrentClockSpeed") == each.get("MaxClockSpeed") == int(cpu["speed"])
        assert (each.get("Name"), each.get("Description")) == (cpu["vendor"], cpu["modelname"])
        assert (each.get("Stepping"), each.get("Family"), each.get("EnabledState")) == (cpu["stepping"], XEON, 2)


async def test_settings_are_those_of_machines_templates_and_snapshots(xen, provider, pinned):
    records = (await xen.call("VM.get_all_records")).values()
    hosts = {ref: each["uuid"] for ref, each in (await xen.call("host.get_all_records")).items()}
    found = provider.view().instances("Xen_ProcessorSettingData")
    assert [each.get("InstanceID") for each in found] == [f"Xen:{each['uuid']}/Processor" for each in records]
    for each, record in zip(found, records, strict=True):
        assert each.get("ResourceType") == 3
        assert each.get("VirtualQuantity") == int(record["VCPUs_max"])
        assert each.get("Reservation") == int(record["VCPUs_at_startup"])
        assert each.get("PoolID") == hosts.get(record["resident_on"])
        weight, cap = (record["VCPUs_params"].get(name) for name in ("weight", "cap"))
        assert (each.get("Weight"), each.get("Limit")) == (weight and int(weight), cap and int(cap))
    assert {each.get("Limit") for each in found} == {None, 150}


async def test_no_limit_and_nonsense_are_null(xen, provider, halted, until):
    uuid = await xen.call("VM.get_uuid", halted)
    await xen.call("VM.set_VCPUs_params", halted, {"cap": "0", "weight": "heavy"})
    settings = await until(lambda view: _settings(view, uuid))
    await until(lambda view: _settings(view, uuid).get("Weight") is None)
    assert settings.get("Limit") is None


def _settings(view, uuid):
    return next(
        each for each in view.instances("Xen_ProcessorSettingData") if each.get("InstanceID") == f"Xen:{uuid}/Processor"
    )


async def test_pools_and_what_can_be_allocated(xen, provider):
    view = provider.view()
    hosts = list((await xen.call("host.get_all_records")).values())
    pools = view.instances("Xen_ProcessorPool")
    assert [
        [each.get(name) for name in ("InstanceID", "PoolID", "Capacity", "Reserved", "ResourceType", "ResourceSubType")]
        for each in pools
    ] == [
        [f"Xen:{each['uuid']}/ProcessorPool", each["uuid"], len(each["host_CPUs"]), 0, 3, "xen:vcpu"] for each in hosts
    ]
    for host, each in zip(hosts, view.instances("Xen_ProcessorAllocationCapabilities"), strict=True):
        assert each.get("InstanceID") == f"Xen:{host['uuid']}/ProcessorAllocationCapabilities"
        assert (each.get("ResourceType"), each.get("SharingMode"), each.get("RequestTypesSupported")) == (3, 3, 3)
        pairs = view.references("Xen_ProcessorSettingsDefineCapabilities", each.name, "GroupComponent")
        bounds = {
            pair.get("PartComponent").get("InstanceID"): (
                view.instance(pair.get("PartComponent")).get("VirtualQuantity"),
                pair.get("ValueRole"),
                pair.get("ValueRange"),
                pair.get("PropertyPolicy"),
            )
            for pair in pairs
        }
        assert bounds == {
            f"Xen:{host['uuid']}/ProcessorMinimum": (1, 3, 1, 0),
            f"Xen:{host['uuid']}/ProcessorMaximum": (len(host["host_CPUs"]), 3, 2, 0),
            f"Xen:{host['uuid']}/ProcessorIncrement": (1, 3, 3, 0),
            f"Xen:{host['uuid']}/ProcessorDefault": (1, 0, 0, 0),
        }


async def test_hosted_processors_are_those_that_are_pinned(xen, provider, pinned, until):
    view = provider.view()
    ref, record = pinned
    cpus = (await xen.call("host_cpu.get_all_records")).values()
    chosen = sorted(
        (each for each in cpus if each["host"] == record["resident_on"]), key=lambda each: int(each["number"])
    )
    uuids = [each["uuid"] for each in chosen if each["number"] in record["VCPUs_params"]["mask"].split(",")]
    processors = [each.name for each in view.instances("Xen_Processor")]
    for processor in processors:
        pairs = view.references("Xen_HostedProcessor", processor, "Dependent")
        if processor.get("SystemName") == record["uuid"]:
            assert [view.instance(pair.get("Antecedent")).get("UniqueID") for pair in pairs] == uuids
            for pair in pairs:
                back = view.references("Xen_HostedProcessor", pair.get("Antecedent"), "Antecedent")
                assert pair.name in [each.name for each in back]
    with_pairs = {each.get("Dependent").get("SystemName") for each in view.instances("Xen_HostedProcessor")}
    assert record["uuid"] in with_pairs < {each.get("SystemName") for each in processors}
    assert len(uuids) == 2
    await xen.call("VM.set_VCPUs_params", ref, {"mask": "0"})
    dependent = next(each for each in processors if each.get("SystemName") == record["uuid"])
    await until(lambda view: len(view.references("Xen_HostedProcessor", dependent)) == 1)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (None, []),
        ("", []),
        ("x,-1,99", []),
        ("1", [(0, "b"), (1, "b"), (2, "b")]),
        ("2,0", [(0, "a"), (0, "c"), (1, "a"), (1, "c"), (2, "a"), (2, "c")]),
        ("0;2", [(0, "a"), (1, "c"), (2, "a")]),
    ],
)
def test_masks(mask, expected):
    assert _pinned(mask, "3", ["1", "0", "2"], ["b", "a", "c"]) == expected


def test_masks_of_machines_that_are_on_no_host():
    assert _pinned("1", "3", None, None) == []
    assert _mask("0, 1;2") == [{0, 1}, {2}]


@pytest.mark.parametrize(
    ("modelname", "family"),
    [
        ("Intel(R) Xeon(R) Gold 6326 CPU @ 2.90GHz", 179),
        ("Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz", 198),
        ("AMD EPYC 7763 64-Core Processor", 107),
        ("Some other processor", 2),
        ("", 2),
    ],
)
def test_families_follow_the_name_of_the_model(modelname, family):
    assert _family(modelname) == family
    assert set(FAMILIES.values()) <= set(range(1 << 16))
