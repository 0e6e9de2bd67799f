"""The further devices of the hosts of a simulated pool: PCI devices and CPU pools, as Xen-API 1.0 knows them."""

from __future__ import annotations

from typing import NamedTuple

from xenapi_core.population.context import Making

SPARE_CPUS = 2
"""CPUs of each host that are in no CPU pool, so that another pool can be activated."""


class _Card(NamedTuple):
    """A PCI device that every host has."""

    bus: int
    class_code: int
    class_name: str
    vendor: tuple[int, str]
    device: tuple[int, str]
    driver: str


_CARDS = (
    _Card(0x3B, 0x020000, "Ethernet controller", (0x8086, "Intel Corporation"), (0x1572, "Ethernet X710"), "i40e"),
    _Card(0x5E, 0x010400, "RAID bus controller", (0x1000, "Broadcom / LSI"), (0x0016, "MegaRAID 3508"), "megaraid_sas"),
    _Card(0x86, 0x0C0330, "USB controller", (0x8086, "Intel Corporation"), (0xA1AF, "USB 3.0 xHCI"), "pciback"),
)


def make_devices(making: Making) -> None:
    """Make each host's PCI devices and its default CPU pool, and hand one device to a VM that is halted."""
    for number, host in enumerate(making.hosts):
        for card in _CARDS:
            _make_card(making, number, host, card)
        _make_cpu_pool(making, number, host)
    spare = making.change.record(making.hosts[0])["PPCIs"][-1]
    halted = (vm for vm in making.change.records("VM") if vm["power_state"] == "Halted" and not vm["is_a_template"])
    making.create(
        "DPCI",
        "host/0/pci/handed",
        VM=next(iter(halted)).ref,
        PPCI=spare,
        virtual_domain=0,
        virtual_bus=0,
        virtual_slot=4,
        virtual_func=0,
        virtual_name="0000:00:04.0",
    )


def _make_card(making: Making, number: int, host: str, card: _Card) -> None:
    vendor, device = card.vendor, card.device
    making.create(
        "PPCI",
        f"host/{number}/pci/{card.bus:x}",
        host=host,
        bus=card.bus,
        name=f"0000:{card.bus:02x}:00.0",
        vendor_id=vendor[0],
        vendor_name=vendor[1],
        device_id=device[0],
        device_name=device[1],
        revision_id=2,
        class_code=card.class_code,
        class_name=card.class_name,
        subsystem_vendor_id=0x15D9,
        subsystem_vendor_name="Super Micro Computer Inc",
        subsystem_id=0x0953,
        subsystem_name=f"Super Micro {device[1]}",
        driver=card.driver,
    )


def _make_cpu_pool(making: Making, number: int, host: str) -> None:
    cpus = making.change.record(host)["host_CPUs"]
    members = cpus[: max(1, len(cpus) - SPARE_CPUS)]
    pool = making.create(
        "cpu_pool",
        f"host/{number}/cpu_pool",
        name_label="Pool-0" if number == 0 else f"Pool-0 of host {number + 1}",
        name_description="The pool in which all VMs run that name no other",
        resident_on=host,
        auto_power_on=True,
        ncpu=len(members),
        sched_policy="credit2",
        host_CPUs=members,
        activated=True,
    )
    for cpu in members:
        making.change.update(cpu, cpu_pool=[pool])
