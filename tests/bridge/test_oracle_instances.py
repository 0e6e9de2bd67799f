"""Every instance of a running bridge, held against an oracle: the Xen-API's records and the rules of the model."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import pywbem

from bridge_process import short_folder
from oracle_instances import INSTANCES, MOVING, Properties
from oracle_records import Records
from oracle_resources import RESOURCES
from oracle_services import OF_POOL

RULES = {**INSTANCES, **RESOURCES, **OF_POOL}
OF_TASKS = ("Job", "Xen_MethodResult")
"""Classes of what clients begin (tests/xen_providers/test_job_control.py): there are instances while they do."""
KEYS = ("DeviceID", "InstanceID", "Id", "Name")
UNFILLED = {
    *(("Xen_ComputerSystemSnapshot", name) for name in ("OS_Version", "PV_Drivers_Version", "PV_Drivers_UpToDate")),
    *(("Xen_ComputerSystemTemplate", name) for name in ("OS_Version", "Parent")),
    ("Xen_HostComputerSystem", "CN"),
    ("Xen_HostNetworkPortSettingData", "ManagementPurpose"),
    ("Xen_NetworkPortSettingData", "VlanTag"),
}
"""Properties of the own MOF that no instance has here (tests/xen_providers/test_filled.py says why)."""
NOT_THERE = (pywbem.CIM_ERR_NOT_FOUND, pywbem.CIM_ERR_INVALID_PARAMETER)


def told_apart(properties: Properties) -> tuple[str, ...]:
    return tuple(str(properties.get(key)) for key in KEYS)


def comparable(found: pywbem.CIMInstance) -> Properties:
    """Return the properties that are not NULL, moments as text."""
    return {
        name: str(value) if isinstance(value, pywbem.CIMDateTime) else value
        for name, value in found.items()
        if value is not None
    }


@pytest.fixture(scope="module")
def records(bridge) -> Iterator[Records]:
    session = bridge.xenapi()
    yield Records(session.xenapi)
    session.xenapi.session.logout()


@pytest.fixture(scope="module")
def shown(bridge) -> Iterator[Callable[[str], list[pywbem.CIMInstance]]]:
    """Enumerate a class once."""
    with bridge.wbem() as connection:
        yield cache(connection.EnumerateInstances)


def test_every_class_has_a_rule_and_instances(wbem):
    everything = wbem.EnumerateInstanceNames("CIM_ManagedElement")
    served = {each.classname for each in everything if each.classname.startswith("Xen_")}
    assert {each for each in served if not each.endswith(OF_TASKS)} == set(RULES)


def test_the_oracle_knows_nothing_of_the_providers():
    files = list((Path(__file__).resolve().parents[1] / "support").glob("oracle_*.py"))
    assert len(files) == 7
    for each in files:
        assert not re.search(r"^\s*(from|import) (xen_providers|cim_provider|pycimom)", each.read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", RULES)
def test_each_property_is_as_the_rule_has_it(records, shown, name):
    expected = {told_apart(each): each for each in RULES[name](records)}
    found = {told_apart(each): comparable(each) for each in shown(name)}
    assert found.keys() == expected.keys()
    assert expected, "the simulated pool has none"
    for which, properties in found.items():
        rule = {each: value for each, value in expected[which].items() if value is not None}
        assert properties.keys() - MOVING == rule.keys() - MOVING
        assert rule.keys() & MOVING <= properties.keys()
        assert {each: properties[each] for each in rule if each not in MOVING} == {
            each: rule[each] for each in rule if each not in MOVING
        }


def test_what_the_own_mof_adds_is_filled_somewhere(wbem, shown):
    unfilled = set()
    for name in RULES:
        cls = wbem.GetClass(name, LocalOnly=False, IncludeClassOrigin=True)
        own = {each.name for each in cls.properties.values() if each.class_origin.startswith("Xen_")}
        unfilled |= {(name, each) for each in own if all(instance.get(each) is None for instance in shown(name))}
    assert unfilled <= UNFILLED


@pytest.mark.parametrize("name", RULES)
def test_each_name_finds_its_instance_and_a_wrong_one_none(wbem, shown, name):
    found = shown(name)
    for each in found:
        again = wbem.GetInstance(each.path)
        assert again.path.keybindings == each.path.keybindings
        assert unmoving(again) == unmoving(each)
    for key, value in found[0].path.keybindings.items():
        for other in (f"{value}x", f"x{value}", "", value.upper() if value.upper() != value else value.lower()):
            wrong = found[0].path.copy()
            wrong.keybindings[key] = other
            with pytest.raises(pywbem.CIMError) as error:
                wbem.GetInstance(wrong)
            assert error.value.status_code in NOT_THERE


def unmoving(instance: pywbem.CIMInstance) -> dict[str, Any]:
    return {each: value for each, value in comparable(instance).items() if each not in MOVING}


def test_names_are_the_same_after_a_restart(start_bridge):
    folder = short_folder()
    try:
        names = []
        for _ in range(2):
            running = start_bridge(folder, XEN_CIM_VMS="12", XEN_CIM_SEED="7")
            with running.wbem() as connection:
                found = connection.EnumerateInstanceNames("CIM_ManagedElement")
                names.append({(each.classname, *sorted(each.keybindings.items())) for each in found})
            running.stop()
        assert names[0] == names[1]
        assert {each[0] for each in names[0]} >= set(RULES)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
