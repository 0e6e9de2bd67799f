"""The networks of a simulated pool and the NICs of its hosts."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any, cast

from xenapi_core.classes.bond import make_bond
from xenapi_core.classes.pif import named
from xenapi_core.classes.tunnel import make_tunnel
from xenapi_core.classes.vlan import make_vlan
from xenapi_core.datamodel import Change
from xenapi_core.population.context import Making
from xenapi_core.scenario import Network


def make_networks(making: Making) -> None:
    """Make the networks, and on each host the NICs that join them."""
    for number, network in enumerate(making.scenario.networks):
        _make_network(making, number, network)


def _make_network(making: Making, number: int, network: Network) -> None:
    path = f"network/{number}"
    ref = making.create(
        "network", path, name_label=network.name, name_description=network.description, bridge=network.bridge
    )
    making.networks[network.name] = ref
    stacked = network.vlan >= 0 or network.bond or network.tunnel
    for host in range(len(making.hosts)):
        if stacked:
            _stack(making, f"{path}/host/{host}", host, network, ref)
        elif network.device:
            _make_pif(making, f"{path}/host/{host}", host, network, ref, number)


def _stack(making: Making, path: str, host: int, network: Network, ref: str) -> None:
    """Make the VLAN, bond or tunnel of one host that is on a network."""
    change = cast(Change, _Identified(making, path))
    below = [named(change, making.hosts[host], name) for name in network.bond or (network.tunnel or network.device,)]
    if network.bond:
        make_bond(change, ref, below)
    elif network.tunnel:
        octets = change.record(below[0])["MAC"].split(":")
        make_tunnel(change, below[0], ref, "gre", ":".join(("02", *octets[1:])))
    else:
        make_vlan(change, below[0], network.vlan, ref)


class _Identified:
    """A change that gives objects their identities by a path and their class."""

    def __init__(self, making: Making, path: str) -> None:
        self._making, self._path = making, path

    def create(self, cls: str, values: dict[str, Any]) -> str:
        return self._making.create(cls, f"{self._path}/{cls}", **values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._making.change, name)


def _make_pif(making: Making, path: str, host: int, network: Network, ref: str, number: int) -> None:
    metrics = making.create(
        "PIF_metrics",
        f"{path}/metrics",
        carrier=True,
        speed=10_000,
        duplex=True,
        vendor_id="8086",
        vendor_name="Intel Corporation",
        device_id="1572",
        device_name="Ethernet Controller X710 for 10GbE SFP+",
        pci_bus_path=f"0000:3b:00.{number}",
    )
    mac = f"ac:1f:6b:{host >> 8:02x}:{host & 0xFF:02x}:{number:02x}"
    card = making.create(
        "PCI",
        f"{path}/card",
        host=making.hosts[host],
        pci_id=f"0000:3b:00.{number}",
        class_name="Ethernet controller",
        vendor_name="Intel Corporation",
        device_name="Ethernet Controller X710 for 10GbE SFP+",
        subsystem_vendor_name="Super Micro Computer Inc",
        driver_name="i40e",
        nic=network.device,
        MAC=mac,
    )
    address = making.address(host, network)
    subnet = IPv4Network(network.subnet) if network.subnet else None
    making.create(
        "PIF",
        path,
        device=network.device,
        host=making.hosts[host],
        network=ref,
        metrics=metrics,
        MAC=mac,
        PCI=card,
        MTU=1500,
        physical=True,
        management=network.management,
        disallow_unplug=network.management,
        ip_configuration_mode="Static" if subnet else "None",
        IP=address,
        netmask=str(subnet.netmask) if subnet else "",
        gateway=str(subnet[1]) if subnet and network.management else "",
        DNS=str(subnet[1]) if subnet and network.management else "",
    )
