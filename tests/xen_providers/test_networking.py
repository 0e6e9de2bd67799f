"""Network ports, switches and what connects them, compared with what the Xen-API says."""

from __future__ import annotations

from typing import Any

import pytest

from cim_provider import InstanceName
from model_pairs import pairs, short
from xen_providers.methods.embedded import parse_name


class Networks:
    """The records of the Xen-API that matter here, by class and reference."""

    def __init__(self, records: dict[str, dict[str, dict[str, Any]]]) -> None:
        self.records = records

    @classmethod
    async def read(cls, xen) -> Networks:
        names = ("host", "network", "PIF", "PIF_metrics", "VIF", "VLAN", "VM", "VM_guest_metrics")
        return cls({name: await xen.call(f"{name}.get_all_records") for name in names})

    def uuid(self, cls: str, ref: str) -> str:
        return str(self.records[cls][ref]["uuid"])

    def all_interfaces(self) -> list[dict[str, Any]]:
        return list(self.records["VIF"].values())

    def interfaces(self) -> list[dict[str, Any]]:
        """Those of machines."""
        vms = self.records["VM"]
        return [
            each
            for each in self.all_interfaces()
            if not vms[each["VM"]]["is_a_template"] and not vms[each["VM"]]["is_a_snapshot"]
        ]

    def port_id(self, vif) -> str:
        return f"Xen:{self.uuid('VM', vif['VM'])}/{vif['uuid']}"

    def switch_port_id(self, vif) -> str:
        return f"Xen:{self.uuid('network', vif['network'])}/{vif['uuid']}"

    def host_port_id(self, pif) -> str:
        return f"Xen:{self.uuid('host', pif['host'])}/{pif['uuid']}"

    def pifs(self, network) -> list[dict[str, Any]]:
        return [self.records["PIF"][each] for each in network["PIFs"]]

    def tags(self, network) -> list[int]:
        return sorted({int(each["VLAN"]) for each in self.pifs(network)} - {-1})

    def pool_id(self, network) -> str:
        hosts = {self.uuid("host", each["host"]) for each in self.pifs(network)}
        return f"Xen:{hosts.pop() if len(hosts) == 1 else 'NoHost'}/{network['uuid']}"


@pytest.fixture
async def networks(xen) -> Networks:
    return await Networks.read(xen)


def by_id(view, class_name):
    found = {short(each.name): each for each in view.instances(class_name)}
    assert len(found) == len(view.instances(class_name))
    return found


async def test_ports_of_machines_say_what_the_records_say(provider, networks):
    found = by_id(provider.view(), "Xen_NetworkPort")
    interfaces = networks.interfaces()
    assert list(found) == [networks.port_id(each) for each in interfaces]
    assert len(networks.all_interfaces()) > len(interfaces), "snapshots have interfaces too, which no machine has"
    told = 0
    for vif in interfaces:
        port, network = found[networks.port_id(vif)], networks.records["network"][vif["network"]]
        assert (port.get("SystemCreationClassName"), port.get("SystemName")) == (
            "Xen_ComputerSystem",
            networks.uuid("VM", vif["VM"]),
        )
        assert (port.get("Name"), port.get("PermanentAddress")) == (vif["uuid"], vif["MAC"])
        assert (port.get("Caption"), port.get("Description")) == (network["name_label"], network["name_description"])
        assert port.get("ActiveMaximumTransmissionUnit") == int(vif["MTU"])
        assert (port.get("LinkTechnology"), port.get("LastErrorCode")) == (2, int(vif["status_code"]))
        guest = networks.records["VM_guest_metrics"].get(networks.records["VM"][vif["VM"]]["guest_metrics"])
        address = guest and guest["networks"].get(f"{vif['device']}/ip")
        assert port.get("NetworkAddresses") == ([address] if address else None)
        told += bool(address)
    assert 0 < told < len(interfaces)


@pytest.mark.parametrize("class_name", ["Xen_NetworkPort", "Xen_VirtualSwitchPort"])
async def test_no_port_of_a_machine_has_its_traffic_for_a_speed(provider, class_name):
    for port in provider.view().instances(class_name):
        assert port.get("Speed") is None
        assert port.get("MaxSpeed") is None


@pytest.mark.parametrize(
    "class_name",
    ["Xen_NetworkPort", "Xen_VirtualSwitchPort", "Xen_ComputerSystemLANEndpoint", "Xen_VirtualSwitchLANEndpoint"],
)
async def test_what_is_plugged_is_enabled(provider, networks, class_name):
    plugged = {each["uuid"]: each["currently_attached"] for each in networks.interfaces()}
    assert set(plugged.values()) == {True, False}
    found = provider.view().instances(class_name)
    assert [each.get("Name") for each in found] == list(plugged)
    for each in found:
        state = (each.get("EnabledState"), each.get("OperationalStatus"), each.get("Status"))
        assert state == ((2, [2], "OK") if plugged[each.get("Name")] else (6, [15], "Stopped"))


async def test_ports_of_switches_say_what_the_records_say(provider, networks):
    found = by_id(provider.view(), "Xen_VirtualSwitchPort")
    assert list(found) == [networks.switch_port_id(each) for each in networks.interfaces()]
    for vif in networks.interfaces():
        port = found[networks.switch_port_id(vif)]
        assert port.get("SystemCreationClassName") == "Xen_VirtualSwitch"
        assert port.get("SystemName") == networks.uuid("network", vif["network"])


@pytest.mark.parametrize(
    ("class_name", "system", "reference", "cls"),
    [
        ("Xen_ComputerSystemLANEndpoint", "Xen_ComputerSystem", "VM", "VM"),
        ("Xen_VirtualSwitchLANEndpoint", "Xen_VirtualSwitch", "network", "network"),
    ],
)
async def test_endpoints_say_what_the_records_say(provider, networks, class_name, system, reference, cls):
    found = by_id(provider.view(), class_name)
    for vif in networks.interfaces():
        endpoint = found[vif["uuid"]]
        assert endpoint.get("SystemCreationClassName") == system
        assert endpoint.get("SystemName") == networks.uuid(cls, vif[reference])
        assert endpoint.get("MACAddress") == vif["MAC"].replace(":", "")
        assert endpoint.get("MaxDataSize") == int(vif["MTU"]) * 8
        network = networks.uuid("network", vif["network"])
        assert endpoint.get("LANID") == (network if vif["currently_attached"] else None)


async def test_settings_of_ports_are_those_of_machines_and_of_snapshots(provider, networks):
    found = by_id(provider.view(), "Xen_NetworkPortSettingData")
    assert list(found) == [networks.port_id(each) for each in networks.all_interfaces()]
    for vif in networks.all_interfaces():
        settings, network = found[networks.port_id(vif)], networks.records["network"][vif["network"]]
        assert (settings.get("ResourceType"), settings.get("PoolID")) == (33, network["uuid"])
        assert (settings.get("Address"), settings.get("AutoGeneratedMAC")) == (vif["MAC"], vif["MAC_autogenerated"])
        assert settings.get("AddressOnParent") == vif["device"]
        assert settings.get("ElementName") == network["bridge"]
        devices = {each["device"] for each in networks.pifs(network)}
        assert set(settings.get("HostResource") or ()) == devices
        assert (settings.get("VlanTag"), settings.get("Connection")) == (None, None)
        assert (settings.get("VirtualQuantity"), settings.get("AllocationUnits")) == (1, "count")


async def test_a_port_on_a_vlan_has_its_tag(provider, networks, xen, until):
    tagged = next(each for each in networks.records["network"].values() if networks.tags(each))
    vif = networks.interfaces()[-1]
    await xen.call(
        "VIF.move",
        await xen.call("VIF.get_by_uuid", vif["uuid"]),
        await xen.call("network.get_by_uuid", tagged["uuid"]),
    )
    name = InstanceName("Xen_NetworkPortSettingData", (("InstanceID", networks.port_id(vif)),))
    await until(lambda view: view.instance(name).get("PoolID") == tagged["uuid"])
    settings = provider.view().instance(name)
    (tag,) = networks.tags(tagged)
    assert (settings.get("VlanTag"), settings.get("Connection")) == (tag, [str(tag)])


async def test_ports_of_hosts_say_what_the_records_say(provider, networks):
    found = by_id(provider.view(), "Xen_HostNetworkPort")
    assert list(found) == [networks.host_port_id(each) for each in networks.records["PIF"].values()]
    for pif in networks.records["PIF"].values():
        port, metrics = found[networks.host_port_id(pif)], networks.records["PIF_metrics"][pif["metrics"]]
        assert port.get("SystemName") == networks.uuid("host", pif["host"])
        assert (port.get("Name"), port.get("PermanentAddress")) == (pif["device"], pif["MAC"])
        assert port.get("NetworkAddresses") == ([pif["IP"]] if pif["IP"] else None)
        assert port.get("Speed") == port.get("MaxSpeed") == (int(metrics["speed"]) * 10**6 or None)
        assert port.get("FullDuplex") == metrics["duplex"]
        assert port.get("Description") == metrics["device_name"]
        assert port.get("CommunicationStatus") == (2 if metrics["carrier"] else 4)
        assert port.get("SupportedMaximumTransmissionUnit") == int(pif["MTU"])
        assert port.get("EnabledState") == (2 if pif["currently_attached"] else 6)
    assert 10**10 in {each.get("Speed") for each in found.values()}


async def test_settings_of_host_ports_say_what_the_records_say(provider, networks):
    found = by_id(provider.view(), "Xen_HostNetworkPortSettingData")
    assert list(found) == [networks.host_port_id(each) for each in networks.records["PIF"].values()]
    for pif in networks.records["PIF"].values():
        settings = found[networks.host_port_id(pif)]
        assert (settings.get("ResourceType"), settings.get("Connection")) == (10, [pif["device"]])
        assert settings.get("PoolID") == networks.uuid("host", pif["host"])
        assert settings.get("VirtualSwitch") == networks.uuid("network", pif["network"])
        modes = {"None": 0, "DHCP": 1, "Static": 2}
        assert settings.get("IPConfigurationMode") == modes[pif["ip_configuration_mode"]]
        for name, key in {"IPAddress": "IP", "IPSubnetMask": "netmask", "IPGateway": "gateway", "DNS": "DNS"}.items():
            assert settings.get(name) == (pif[key] or None)
        assert settings.get("Management") == pif["management"]
        vlan = networks.records["VLAN"].get(pif["VLAN_master_of"])
        assert settings.get("VlanTag") == (vlan and int(vlan["tag"]))
        below = vlan and networks.host_port_id(networks.records["PIF"][vlan["tagged_PIF"]])
        assert settings.get("Parent") == below
    assert len({each.get("Parent") for each in found.values()}) == 3, "one VLAN on each host, and none"


async def test_switches_and_their_settings_say_what_the_records_say(provider, networks):
    view = provider.view()
    switches, settings = by_id(view, "Xen_VirtualSwitch"), by_id(view, "Xen_VirtualSwitchSettingData")
    records = networks.records["network"].values()
    assert list(switches) == [each["uuid"] for each in records]
    assert list(settings) == [f"Xen:{each['uuid']}" for each in records]
    for network in records:
        switch, found = switches[network["uuid"]], settings[f"Xen:{network['uuid']}"]
        assert (switch.get("ElementName"), switch.get("Dedicated")) == (network["name_label"], [5])
        assert found.get("VirtualSystemIdentifier") == network["uuid"]
        assert found.get("VirtualSystemType") == "DMTF:Virtual Ethernet Switch"
        assert found.get("Bridge") == network["bridge"]
        devices = {each["device"] for each in networks.pifs(network)}
        assert set((found.get("HostInterface") or "").split(",")) - {""} == devices
        assert found.get("VLANConnection") == ([str(each) for each in networks.tags(network)] or None)
        assert found.get("Shared") == (len(network["PIFs"]) == len(networks.records["host"]))
        (pool,) = found.get("AssociatedResourcePool")
        assert view.instance(parse_name(pool)).get("PoolID") == network["uuid"]
    assert {each.get("Shared") for each in settings.values()} == {True, False}
    assert {"100"} == {tag for each in settings.values() for tag in each.get("VLANConnection") or ()}


async def test_a_network_that_leaves_one_host_only_has_the_pool_of_that_host(provider, networks, xen, until):
    pif = next(each for each in networks.records["PIF"].values() if int(each["VLAN"]) >= 0)
    network = networks.records["network"][pif["network"]]
    settings = InstanceName("Xen_VirtualSwitchSettingData", (("InstanceID", f"Xen:{network['uuid']}"),))
    assert provider.view().instance(settings).get("Shared")
    await xen.call("VLAN.destroy", pif["VLAN_master_of"])
    (left,) = (each for each in networks.pifs(network) if each is not pif)
    pool_id = f"Xen:{networks.uuid('host', left['host'])}/{network['uuid']}"
    await until(lambda view: pool_id in by_id(view, "Xen_NetworkConnectionPool"))
    assert provider.view().instance(settings).get("Shared") is False
    path = f'root/cimv2:Xen_NetworkConnectionPool.InstanceID="{pool_id}"'
    assert provider.view().instance(settings).get("AssociatedResourcePool") == [path]


async def test_pools_of_connections_say_what_the_records_say(provider, networks):
    found = by_id(provider.view(), "Xen_NetworkConnectionPool")
    records = networks.records["network"].values()
    assert list(found) == [networks.pool_id(each) for each in records]
    for network in records:
        pool = found[networks.pool_id(network)]
        assert (pool.get("PoolID"), pool.get("ResourceType")) == (network["uuid"], 33)
        assert (pool.get("Capacity"), pool.get("Reserved")) == (0xFFFFFFFF, 0)


async def test_what_can_be_allocated_of_switches(provider, networks):
    view = provider.view()
    uuids = [each["uuid"] for each in networks.records["network"].values()]
    capabilities = by_id(view, "Xen_NetworkConnectionAllocationCapabilities")
    assert list(capabilities) == [f"Xen:{each}/NetworkConnectionAllocationCapabilities" for each in uuids]
    assert {each.get("ResourceType") for each in capabilities.values()} == {33}
    roles = {"Minimum": (3, 1), "Maximum": (3, 2), "Increment": (3, 3), "Default": (0, 0)}
    bounds = by_id(view, "Xen_NetworkConnectionCapabilitiesSettingData")
    assert list(bounds) == [f"Xen:{each}/NetworkConnection{role}" for each in uuids for role in roles]
    for bound in bounds.values():
        assert view.instance(bound.name) is bound
        assert bound.get("VirtualQuantity") == 1
    association = "Xen_NetworkConnectionSettingsDefineCapabilities"
    assert pairs(view, association, "GroupComponent", "PartComponent") == {
        (f"Xen:{each}/NetworkConnectionAllocationCapabilities", f"Xen:{each}/NetworkConnection{role}")
        for each in uuids
        for role in roles
    }
    for each in view.instances(association):
        role = short(each.get("PartComponent")).rpartition("/NetworkConnection")[2]
        assert (each.get("ValueRole"), each.get("ValueRange")) == roles[role]


async def test_ports_of_machines_are_tied_to_what_they_belong_to(provider, networks):
    view = provider.view()
    ends = {
        "Xen_ComputerSystemNetworkPort": (
            ("GroupComponent", "PartComponent"),
            lambda vif: (networks.uuid("VM", vif["VM"]), networks.port_id(vif)),
        ),
        "Xen_HostedNetworkPort": (
            ("Antecedent", "Dependent"),
            lambda vif: (networks.switch_port_id(vif), networks.port_id(vif)),
        ),
        "Xen_NetworkPortAllocatedFromPool": (
            ("Antecedent", "Dependent"),
            lambda vif: (networks.pool_id(networks.records["network"][vif["network"]]), networks.port_id(vif)),
        ),
        "Xen_NetworkPortSettingsDefineState": (
            ("ManagedElement", "SettingData"),
            lambda vif: (networks.port_id(vif), networks.port_id(vif)),
        ),
        "Xen_NetworkPortElementSettingData": (
            ("ManagedElement", "SettingData"),
            lambda vif: (networks.uuid("VM", vif["VM"]), networks.port_id(vif)),
        ),
        "Xen_NetworkPortSAPImplementation": (
            ("Antecedent", "Dependent"),
            lambda vif: (networks.port_id(vif), vif["uuid"]),
        ),
        "Xen_HostedComputerSystemLANEndpoint": (
            ("Antecedent", "Dependent"),
            lambda vif: (networks.uuid("VM", vif["VM"]), vif["uuid"]),
        ),
        "Xen_VirtualSwitchVirtualSwitchPort": (
            ("GroupComponent", "PartComponent"),
            lambda vif: (networks.uuid("network", vif["network"]), networks.switch_port_id(vif)),
        ),
        "Xen_VirtualSwitchPortSAPImplementation": (
            ("Antecedent", "Dependent"),
            lambda vif: (networks.switch_port_id(vif), vif["uuid"]),
        ),
        "Xen_HostedVirtualSwitchLANEndpoint": (
            ("Antecedent", "Dependent"),
            lambda vif: (networks.uuid("network", vif["network"]), vif["uuid"]),
        ),
    }
    for association, (roles, expected) in ends.items():
        assert pairs(view, association, *roles) == set(map(expected, networks.interfaces())), association
    for each in view.instances("Xen_NetworkPortElementSettingData"):
        assert each.get("ManagedElement").class_name == "Xen_ComputerSystem", "not the settings themselves"


async def test_endpoints_are_connected_while_the_port_is_plugged(provider, networks, xen, until):
    view = provider.view()
    plugged = [each for each in networks.interfaces() if each["currently_attached"]]
    assert pairs(view, "Xen_ActiveConnection", "Antecedent", "Dependent") == {
        (each["uuid"], each["uuid"]) for each in plugged
    }
    for each in view.instances("Xen_ActiveConnection"):
        assert each.get("Antecedent").class_name == "Xen_ComputerSystemLANEndpoint"
        assert each.get("Dependent").class_name == "Xen_VirtualSwitchLANEndpoint"
    unplugged = next(each for each in plugged if "unplug" in each["allowed_operations"])
    await xen.call("VIF.unplug", await xen.call("VIF.get_by_uuid", unplugged["uuid"]))
    await until(lambda view: len(view.instances("Xen_ActiveConnection")) == len(plugged) - 1)


async def test_settings_of_ports_are_part_of_those_of_the_machine_and_served_by_a_pool(provider, networks):
    view = provider.view()
    ids = {networks.port_id(each) for each in networks.all_interfaces()}
    assert pairs(view, "Xen_NetworkPortSettingDataComponent", "GroupComponent", "PartComponent") == {
        (each.split("/")[0], each) for each in ids
    }
    groups = {each.get("GroupComponent").class_name for each in view.instances("Xen_NetworkPortSettingDataComponent")}
    assert groups == {"Xen_ComputerSystemSettingData", "Xen_ComputerSystemSnapshot"}
    assert pairs(view, "Xen_NetworkPortSettingAllocationFromPool", "Antecedent", "Dependent") == {
        (networks.pool_id(networks.records["network"][each["network"]]), networks.port_id(each))
        for each in networks.all_interfaces()
    }


async def test_switches_have_their_settings_pools_and_uplinks(provider, networks):
    view = provider.view()
    records = list(networks.records["network"].values())
    for association in ("Xen_VirtualSwitchSettingsDefineState", "Xen_VirtualSwitchElementSettingData"):
        assert pairs(view, association, "ManagedElement", "SettingData") == {
            (each["uuid"], f"Xen:{each['uuid']}") for each in records
        }
    assert pairs(view, "Xen_HostedNetworkConnectionPool", "GroupComponent", "PartComponent") == {
        (each["uuid"], networks.pool_id(each)) for each in records
    }
    capabilities = "Xen:{}/NetworkConnectionAllocationCapabilities".format
    assert pairs(view, "Xen_NetworkConnectionPoolAllocationCapabilities", "ManagedElement", "Capabilities") == {
        (networks.pool_id(each), capabilities(each["uuid"])) for each in records
    }
    assert pairs(view, "Xen_VirtualSwitchPortAllocationCapabilities", "ManagedElement", "Capabilities") == {
        (each["uuid"], capabilities(each["uuid"])) for each in records
    }
    uplinks = pairs(view, "Xen_VirtualSwitchSettingDataComponent", "GroupComponent", "PartComponent")
    assert uplinks == {
        (f"Xen:{each['uuid']}", networks.host_port_id(pif)) for each in records for pif in networks.pifs(each)
    }
    assert len({switch for switch, _ in uplinks}) < len(records), "one network does not leave its host"


async def test_hosts_have_their_ports_and_these_their_settings(provider, networks):
    view = provider.view()
    ports = [
        (networks.uuid("host", each["host"]), networks.host_port_id(each)) for each in networks.records["PIF"].values()
    ]
    assert pairs(view, "Xen_HostComputerSystemNetworkPort", "GroupComponent", "PartComponent") == set(ports)
    assert pairs(view, "Xen_HostNetworkPortSettingsDefineState", "ManagedElement", "SettingData") == {
        (port, port) for _, port in ports
    }


async def test_switches_are_managed_by_their_service_and_conform_to_profiles(provider, networks):
    view = provider.view()
    uuids = {each["uuid"] for each in networks.records["network"].values()}
    pools = {networks.pool_id(each) for each in networks.records["network"].values()}
    (service,) = view.instances("Xen_VirtualSwitchManagementService")
    association = "Xen_VirtualSwitchManagementServiceAffectsVirtualSwitch"
    assert pairs(view, association, "AffectingElement", "AffectedElement") == {
        (short(service.name), each) for each in uuids
    }
    for association, profile, elements in (
        ("Xen_ElementConformsToEthernetPortVirtualizationProfile", "EthernetPortVirtualization", uuids),
        ("Xen_ResourcePoolConformsToEthernetPortVirtualizationProfile", "EthernetPortVirtualization", pools),
        ("Xen_ElementConformsToVirtualEthernetSwitchProfile", "VirtualEthernetSwitch", uuids),
    ):
        (registered,) = view.instances(f"Xen_Registered{profile}Profile")
        assert pairs(view, association, "ConformantStandard", "ManagedElement") == {
            (short(registered.name), each) for each in elements
        }
