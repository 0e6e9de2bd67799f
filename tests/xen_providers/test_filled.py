"""Each declared property has a value somewhere in the simulated pool, or stands here with the reason."""

from __future__ import annotations

from xen_providers.provider import CLASSES

UNFILLED = {
    "users may put it into other_config, and have not": {
        *(
            (cls, name)
            for cls in ("Xen_ComputerSystem", "Xen_HostComputerSystem")
            for name in ("PrimaryOwnerName", "PrimaryOwnerContact", "Roles")
        ),
        ("Xen_HostComputerSystem", "CN"),
        ("Xen_HostNetworkPortSettingData", "ManagementPurpose"),
    },
    "nothing runs in a snapshot that could say it": {
        ("Xen_ComputerSystemSnapshot", name) for name in ("OS_Version", "PV_Drivers_Version", "PV_Drivers_UpToDate")
    },
    "no template was made from a snapshot": {("Xen_ComputerSystemTemplate", "Parent")},
    "no host has changed its state yet": {("Xen_HostComputerSystem", "TimeOfLastStateChange")},
    "nothing has failed": {("Xen_NetworkPort", "ErrorDescription")},
    "no machine is on a VLAN": {("Xen_NetworkPortSettingData", name) for name in ("Connection", "VlanTag")},
}
"""Properties that are NULL in all instances, by the reason."""


async def test_every_declared_property_is_filled_or_listed(provider):
    await provider.refresh(provider.sampled_classes)
    view = provider.view()
    unfilled = {
        (each.name, name)
        for each in CLASSES
        if each.source != "task"  # what clients begin: tests/xen_providers/test_job_control.py
        for name in each.properties
        if all(instance.properties.get(name) is None for instance in view.instances(each.name))
    }
    assert unfilled == set().union(*UNFILLED.values())
