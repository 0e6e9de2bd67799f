"""How NICs of a host are joined to each other and to networks: what VLANs, bonds and tunnels have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from xenapi_core.datamodel import NULL, Call, Change, Objects, Record, XenApiError
from xenapi_core.hypervisors.description import nic
from xenapi_core.hypervisors.interface import HypervisorError

IN_USE = ("PIF_IS_MANAGEMENT_INTERFACE", "VIF_IN_USE")
"""What removing a NIC may be refused with."""


def make_pif(change: Change, below: Record, network: str, **values: Any) -> str:
    """Make the NIC that stands for a VLAN, bond or tunnel on another one, and return its reference."""
    speed = change.record(below["metrics"])
    metrics = change.create("PIF_metrics", {name: speed[name] for name in ("carrier", "speed", "duplex")})
    shared = {name: below[name] for name in ("host", "device", "MAC", "MTU", "currently_attached")}
    return change.create("PIF", {**shared, "network": network, "metrics": metrics, **values})


def remove_pif(change: Change, pif: str) -> None:
    """Remove a NIC with its metrics."""
    metrics = change.record(pif, "PIF")["metrics"]
    if change.get(metrics) is not None:
        change.destroy(metrics)
    change.destroy(pif)


def check_free(objects: Objects, network: str, host: str) -> None:
    """Raise NETWORK_ALREADY_CONNECTED (network, PIF) if a host is joined to a network already."""
    for pif in objects.record(network, "network")["PIFs"]:
        if objects.record(pif)["host"] == host:
            raise XenApiError("NETWORK_ALREADY_CONNECTED", network, pif)


def check_removable(objects: Objects, pif: Record) -> None:
    """Raise the error that tells why a NIC cannot go away now, if it cannot."""
    if pif["management"]:
        raise XenApiError("PIF_IS_MANAGEMENT_INTERFACE", pif.ref)
    for vif in resident_vifs(objects, pif["network"], pif["host"]):
        if vif["currently_attached"]:
            raise XenApiError("VIF_IN_USE", pif["network"], vif.ref)


def resident_vifs(objects: Objects, network: str, host: str) -> list[Record]:
    """Return the virtual NICs on a network whose VMs run on a host."""
    if network == NULL:
        return []
    vifs = (objects.record(vif) for vif in objects.record(network)["VIFs"])
    return [vif for vif in vifs if vif["VM"] != NULL and objects.record(vif["VM"])["resident_on"] == host]


def above(objects: Objects, pif: Record) -> Iterable[Record]:
    """Yield the NICs that go up and down with one: those of its VLANs and tunnels, and those on them."""
    on_it = [objects.record(vlan)["untagged_PIF"] for vlan in pif["VLAN_slave_of"]]
    on_it += [objects.record(tunnel)["access_PIF"] for tunnel in pif["tunnel_transport_PIF_of"]]
    for ref in on_it:
        other = objects.record(ref)
        yield other
        yield from above(objects, other)


def below(objects: Objects, pif: Record) -> Iterable[Record]:
    """Yield the NICs that one needs: those of its VLAN, tunnel or bond."""
    refs = [objects.record(tunnel)["transport_PIF"] for tunnel in pif["tunnel_access_PIF_of"]]
    refs += [slave for bond in pif["bond_master_of"] for slave in objects.record(bond)["slaves"]]
    if pif["VLAN_master_of"] != NULL:
        refs.append(objects.record(pif["VLAN_master_of"])["tagged_PIF"])
    for ref in refs:
        other = objects.record(ref)
        yield other
        yield from below(objects, other)


def set_attached(change: Change, pifs: Iterable[Record], *, attached: bool) -> None:
    """Write that NICs are up or down."""
    for pif in list(pifs):
        change.update(pif.ref, currently_attached=attached)
        for tunnel in pif["tunnel_access_PIF_of"]:
            status = change.record(tunnel)["status"]
            change.update(tunnel, status={**status, "active": "true" if attached else "false"})


async def rejoin(call: Call, vifs: Iterable[str]) -> None:
    """Plug virtual NICs that have been moved to other networks into the bridges of those."""
    for ref in vifs:
        vif = call.store.get(ref)
        if vif is None or not vif["currently_attached"]:
            continue
        vm = call.record(vif["VM"], "VM")
        if vm["resident_on"] == NULL:
            continue
        try:
            await call.hypervisor(vm["resident_on"]).attach(vm["uuid"], nic(call.store, vif))
        except HypervisorError:
            continue  # the domain has ended meanwhile: the next one is built from the records
