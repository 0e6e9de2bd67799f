"""What was measured of hosts and virtual machines, compared with one sample that both sides see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pytest

from cim_provider import InstanceName
from xen_providers.mapping.sources import SAMPLED
from xenapi_client import read_updates

Pool = Mapping[str, Mapping[str, Mapping[str, Any]]]

PERCENT, BYTES, RATE = (5, 3, "percent"), (13, 2, "byte"), (13, 2, "byte / second")
LATENCY = (13, 3, "second * 10^-6")
UNITS = {
    "Xen_ProcessorUtilization": PERCENT,
    "Xen_HostProcessorUtilization": PERCENT,
    "Xen_ComputerSystemMemoryUsage": BYTES,
    "Xen_HostMemoryUsage": BYTES,
    "Xen_DiskReadThroughput": RATE,
    "Xen_DiskWriteThroughput": RATE,
    "Xen_DiskReadLatency": LATENCY,
    "Xen_DiskWriteLatency": LATENCY,
    "Xen_NetworkPortReceiveThroughput": RATE,
    "Xen_NetworkPortTransmitThroughput": RATE,
    "Xen_HostNetworkPortReceiveThroughput": RATE,
    "Xen_HostNetworkPortTransmitThroughput": RATE,
}
RATES = {
    "Xen_DiskReadThroughput": ("VBD", "io_read_kbs"),
    "Xen_DiskWriteThroughput": ("VBD", "io_write_kbs"),
    "Xen_NetworkPortReceiveThroughput": ("VIF", "io_read_kbs"),
    "Xen_NetworkPortTransmitThroughput": ("VIF", "io_write_kbs"),
    "Xen_HostNetworkPortReceiveThroughput": ("PIF", "io_read_kbs"),
    "Xen_HostNetworkPortTransmitThroughput": ("PIF", "io_write_kbs"),
}
LATENCIES = {"Xen_DiskReadLatency": "read_latency", "Xen_DiskWriteLatency": "write_latency"}
ELEMENTS = {  # what associations call it: its class, its metrics, the association of definitions and values
    "VirtualProcessor": ("Xen_Processor", ["Xen_ProcessorUtilization"], "Xen_MetricInstanceVirtualProcessor"),
    "HostProcessor": ("Xen_HostProcessor", ["Xen_HostProcessorUtilization"], "Xen_MetricInstanceHostProcessor"),
    "Memory": ("Xen_Memory", ["Xen_ComputerSystemMemoryUsage"], "Xen_MetricInstanceForMemory"),
    "HostMemory": ("Xen_HostMemory", ["Xen_HostMemoryUsage"], "Xen_MetricInstanceForHostMemory"),
    "Disk": (
        "Xen_Disk",
        ["Xen_DiskReadThroughput", "Xen_DiskWriteThroughput", *LATENCIES],
        "Xen_MetricInstanceForDisk",
    ),
    "NetworkPort": (
        "Xen_NetworkPort",
        ["Xen_NetworkPortReceiveThroughput", "Xen_NetworkPortTransmitThroughput"],
        "Xen_MetricInstanceForNetworkPort",
    ),
    "HostNetworkPort": (
        "Xen_HostNetworkPort",
        ["Xen_HostNetworkPortReceiveThroughput", "Xen_HostNetworkPortTransmitThroughput"],
        "Xen_MetricInstanceForHostNetworkPort",
    ),
}


@pytest.fixture
async def records(xen) -> Pool:
    classes = {*SAMPLED, "VM", "VBD", "VIF", "PIF", "host"}
    found = {cls: await xen.call(f"{cls}.get_all_records") for cls in classes}
    told = await read_updates(xen)
    for disk in found["VBD"].values():
        sources = told.of("vm", found["VM"][disk["VM"]]["uuid"])
        for field in LATENCIES.values():
            disk[field] = sources.get(f"vbd_{disk['device']}_{field}")
    return found


@pytest.fixture
def view(provider, records):
    """The provider's view with the very sample that the test has."""
    return provider.view().sampled({cls: records[cls] for cls in SAMPLED})


def measured(pool: Pool) -> dict[str, dict[str, str]]:
    """What each metric is of each element, by the rules of the model."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    running = {
        ref: vm
        for ref, vm in pool["VM"].items()
        if vm["power_state"] in ("Running", "Paused") and not vm["is_a_template"]
    }
    for vm in running.values():
        metrics = pool["VM_metrics"][vm["metrics"]]
        found["Xen_ComputerSystemMemoryUsage"][f"Xen:{vm['uuid']}/Memory"] = metrics["memory_actual"]
        for number in range(int(metrics["VCPUs_number"])):
            share = metrics["VCPUs_utilisation"][str(number)]
            found["Xen_ProcessorUtilization"][f"Xen:{vm['uuid']}/VCPU{number}"] = f"{100 * share:.2f}"
    for host in pool["host"].values():
        metrics = pool["host_metrics"][host["metrics"]]
        used = int(metrics["memory_total"]) - int(metrics["memory_free"])
        found["Xen_HostMemoryUsage"][f"Xen:{host['uuid']}/Memory"] = str(used)
    for cpu in pool["host_cpu"].values():
        device = f"Xen:{pool['host'][cpu['host']]['uuid']}/{cpu['uuid']}"
        found["Xen_HostProcessorUtilization"][device] = f"{100 * cpu['utilisation']:.2f}"
    for name, (cls, field) in RATES.items():
        for device in pool[cls].values():
            if cls == "PIF":
                system = pool["host"][device["host"]]
            elif device["VM"] in running and device["currently_attached"] and device.get("type") != "CD":
                system = running[device["VM"]]
            else:
                continue
            rate = pool[f"{cls}_metrics"][device["metrics"]][field]
            found[name][f"Xen:{system['uuid']}/{device['uuid']}"] = str(round(1024 * rate))
            if name == "Xen_DiskReadThroughput":
                for latency, its_field in LATENCIES.items():
                    found[latency][f"Xen:{system['uuid']}/{device['uuid']}"] = str(round(device[its_field]))
    return found


@pytest.mark.parametrize("class_name", UNITS)
async def test_a_definition_says_what_its_values_are(provider, class_name):
    (definition,) = provider.view().instances(f"{class_name}Def")
    assert definition.name == InstanceName(f"{class_name}Def", (("Id", f"{class_name}Def"),))
    kind = (definition.get("DataType"), definition.get("Calculable"), definition.get("ProgrammaticUnits"))
    assert kind == UNITS[class_name]
    assert [definition.get(each) for each in ("IsContinuous", "ChangeType", "TimeScope", "GatheringType")] == [
        True,
        4,
        2,
        3,
    ]


@pytest.mark.parametrize("class_name", UNITS)
async def test_values_are_those_of_the_sample(view, records, class_name):
    expected = measured(records)[class_name]
    instances = view.instances(class_name)
    assert {each.get("InstanceID"): each.get("MetricValue") for each in instances} == expected
    assert len(instances) > 1
    assert any(float(each.get("MetricValue")) > 0 for each in instances)
    names = {each["uuid"]: each["name_label"] for cls in ("VM", "host") for each in records[cls].values()}
    for each in instances:
        assert each.get("MetricDefinitionId") == f"{class_name}Def"
        assert each.get("MeasuredElementName") == names[each.get("InstanceID")[4:40]]
        assert each.get("Volatile") is True
        assert view.instance(each.name) is each


async def test_a_value_is_as_old_as_the_sample(view, records):
    updated = {each["uuid"]: records["VM_metrics"][each["metrics"]]["last_updated"] for each in records["VM"].values()}
    for each in view.instances("Xen_ProcessorUtilization"):
        assert each.get("TimeStamp") == updated[each.get("InstanceID")[4:40]]


@pytest.mark.parametrize("word", ELEMENTS)
async def test_elements_definitions_and_values_lead_to_each_other(view, word):
    element_class, metrics, between = ELEMENTS[word]
    definitions = {each: view.instances(f"{each}Def")[0].name for each in metrics}
    values = {each: {value.get("InstanceID"): value.name for value in view.instances(each)} for each in metrics}
    without = 0
    for element in view.instances(element_class):
        device = element.get("DeviceID")
        pairs = view.references(f"Xen_MetricDefFor{word}", element.name, "Antecedent")
        assert [each.get("Dependent") for each in pairs] == list(definitions.values())
        assert {each.get("MetricCollectionEnabled") for each in pairs} == {2}
        of_element = view.references(f"Xen_MetricFor{word}", element.name, "Antecedent")
        expected = [named[device] for named in values.values() if device in named]
        assert [each.get("Dependent") for each in of_element] == expected
        without += not expected
        for value in expected:
            (back,) = view.references(f"Xen_MetricFor{word}", value, "Dependent")
            assert back.get("Antecedent") == element.name
    assert without > 0 or word.startswith("Host"), "some virtual machine does not run"
    everything = [element.name for element in view.instances(element_class)]
    for each, definition in definitions.items():
        back = view.references(f"Xen_MetricDefFor{word}", definition, "Dependent")
        assert [pair.get("Antecedent") for pair in back] == everything
        pairs = view.references(between, definition, "Antecedent")
        assert [pair.get("Dependent") for pair in pairs] == list(values[each].values())
        for value in values[each].values():
            (pair,) = view.references(between, value, "Dependent")
            assert pair.get("Antecedent") == definition
    names = [pair.name for pair in view.instances(f"Xen_MetricFor{word}")]
    assert len(names) == sum(map(len, values.values()))
    assert all(view.instance(name) is not None for name in names)


async def test_the_metric_service_manages_every_definition(provider):
    view = provider.view()
    (service,) = view.instances("Xen_MetricService")
    association = "Xen_MetricServiceAffectsMetricDefinition"
    pairs = view.references(association, service.name, "AffectingElement")
    definitions = [view.instances(f"{each}Def")[0].name for each in UNITS]
    assert [each.get("AffectedElement") for each in pairs] == definitions
    assert {tuple(each.get("ElementEffects")) for each in pairs} == {(5,)}
    for each in definitions:
        (pair,) = view.references(association, each, "AffectedElement")
        assert pair.get("AffectingElement") == service.name


async def test_who_reads_no_values_waits_for_no_samples(provider):
    assert {each for each in provider.sampled_classes if "metric" in each} == set()
    assert {each.lower() for each in UNITS} <= set(provider.sampled_classes)


async def test_a_virtual_machine_that_stops_has_no_values_left(provider, xen, view, until):
    (first, *_) = view.instances("Xen_NetworkPortReceiveThroughput")
    uuid = first.get("InstanceID")[4:40]
    await xen.call("VM.hard_shutdown", await xen.call("VM.get_by_uuid", uuid))

    def gone(view) -> bool:
        return not any(uuid in each.get("InstanceID") for name in UNITS for each in view.instances(name))

    await until(gone)
