"""How the processors and the memory of hosts and of virtual machines hang together: by host, and by machine."""

from __future__ import annotations

import pytest

from model_pairs import pairs, short

WORDS = ("Processor", "Memory")
OF_HOSTS = {  # association: first role, class there, second role, class there
    "Xen_HostComputerSystem{}": ("GroupComponent", "Xen_HostComputerSystem", "PartComponent", "Xen_Host{}"),
    "Xen_{}PoolComponent": ("GroupComponent", "Xen_{}Pool", "PartComponent", "Xen_Host{}"),
    "Xen_Hosted{}Pool": ("GroupComponent", "Xen_HostComputerSystem", "PartComponent", "Xen_{}Pool"),
    "Xen_Host{}AllocationCapabilities": (
        "ManagedElement",
        "Xen_HostComputerSystem",
        "Capabilities",
        "Xen_{}AllocationCapabilities",
    ),
    "Xen_{}PoolAllocationCapabilities": (
        "ManagedElement",
        "Xen_{}Pool",
        "Capabilities",
        "Xen_{}AllocationCapabilities",
    ),
}


def uuid_of(name) -> str:
    """The uuid of the system that an instance belongs to, whichever key names it."""
    found = next(value for key, value in name.keys if key in ("SystemName", "InstanceID", "Name"))
    return found.removeprefix("Xen:").partition("/")[0]


def joined(view, association, roles, classes, owner=uuid_of):
    """Check that an association joins the instances of two classes that have the same owner, and no others.

    Returns how many pairs there are.
    """
    ends = [[each.name for each in view.instances(name)] for name in classes]
    owners = {name: owner(name) for names in ends for name in names}
    expected = [(one, other) for one in ends[0] for other in ends[1] if owners[one] == owners[other] is not None]
    assert pairs(view, association, *roles) == {(short(one), short(other)) for one, other in expected}
    for name in owners.keys() - {end for pair in expected for end in pair}:
        assert view.references(association, name) == []
    return len(expected)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("association", OF_HOSTS)
async def test_each_host_has_its_own(provider, association, word):
    first, first_class, second, second_class = (each.format(word) for each in OF_HOSTS[association])
    assert joined(provider.view(), association.format(word), (first, second), (first_class, second_class)) >= 2


@pytest.mark.parametrize("word", WORDS)
async def test_each_machine_has_its_own_devices_and_settings(provider, word):
    view = provider.view()
    count = len(view.instances("Xen_ComputerSystem"))
    roles, classes = ("GroupComponent", "PartComponent"), ("Xen_ComputerSystem", f"Xen_{word}")
    assert joined(view, f"Xen_ComputerSystem{word}", roles, classes) >= count
    roles, classes = ("ManagedElement", "SettingData"), (f"Xen_{word}", f"Xen_{word}SettingData")
    assert joined(view, f"Xen_{word}SettingsDefineState", roles, classes) >= count
    roles, classes = ("ManagedElement", "SettingData"), ("Xen_ComputerSystem", f"Xen_{word}SettingData")
    assert joined(view, f"Xen_{word}ElementSettingData", roles, classes) == count


@pytest.mark.parametrize("word", WORDS)
async def test_settings_are_part_of_those_of_their_machine_template_or_snapshot(provider, word):
    view = provider.view()
    association, count = f"Xen_{word}SettingDataComponent", 0
    for kind in ("SettingData", "Template", "Snapshot"):
        for whole in view.instances(f"Xen_ComputerSystem{kind}"):
            (pair,) = view.references(association, whole.name, "GroupComponent")
            assert uuid_of(pair.get("PartComponent")) == uuid_of(whole.name)
            (back,) = view.references(association, pair.get("PartComponent"), "PartComponent")
            assert back.get("GroupComponent") == whole.name
            count += 1
    assert count == len(view.instances(f"Xen_{word}SettingData")) == len(view.instances(association))


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(
    ("association", "end"), [("AllocatedFromPool", ""), ("SettingAllocationFromPool", "SettingData")]
)
async def test_what_is_on_a_host_is_allocated_from_its_pool(xen, provider, association, end, word):
    """No cross product: each machine that is on a host has its share of that host's pool, others have none."""
    hosts = {ref: each["uuid"] for ref, each in (await xen.call("host.get_all_records")).items()}
    machines = {
        each["uuid"]: hosts.get(each["resident_on"]) for each in (await xen.call("VM.get_all_records")).values()
    }

    def host_of(name):
        uuid = uuid_of(name)
        return uuid if name.class_name.endswith("Pool") else machines[uuid]

    classes = (f"Xen_{word}Pool", f"Xen_{word}{end}")
    count = joined(provider.view(), f"Xen_{word}{association}", ("Antecedent", "Dependent"), classes, host_of)
    assert 2 <= count < len(provider.view().instances(classes[1]))


async def test_memory_is_hosted_by_that_of_the_host(xen, provider):
    hosts = {ref: each["uuid"] for ref, each in (await xen.call("host.get_all_records")).items()}
    machines = {
        each["uuid"]: hosts.get(each["resident_on"]) for each in (await xen.call("VM.get_all_records")).values()
    }

    def host_of(name):
        uuid = uuid_of(name)
        return uuid if name.class_name == "Xen_HostMemory" else machines[uuid]

    roles, classes = ("Antecedent", "Dependent"), ("Xen_HostMemory", "Xen_Memory")
    assert joined(provider.view(), "Xen_HostedMemory", roles, classes, host_of) >= 2
