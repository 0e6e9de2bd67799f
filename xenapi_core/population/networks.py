"""The networks of a simulated pool and the NICs of its hosts."""

from __future__ import annotations

from ipaddress import IPv4Network

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
    if network.device:
        for host in range(len(making.hosts)):
            _make_pif(making, f"{path}/host/{host}", host, network, ref, number)


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
    address = making.address(host, network)
    subnet = IPv4Network(network.subnet) if network.subnet else None
    making.create(
        "PIF",
        path,
        device=network.device,
        host=making.hosts[host],
        network=ref,
        metrics=metrics,
        MAC=f"ac:1f:6b:{host >> 8:02x}:{host & 0xFF:02x}:{number:02x}",
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
