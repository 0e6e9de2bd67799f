"""The hosts of a simulated pool."""

from __future__ import annotations

from datetime import timedelta

from xenapi_core.datamodel import NULL
from xenapi_core.population.context import GIB, MIB, Making, grown

XEN_VERSION = "4.19.1"

SOFTWARE = {
    "product_brand": "Xen",
    "product_version": XEN_VERSION,
    "platform_name": "Xen",
    "platform_version": XEN_VERSION,
    "build_number": "simulated",
    "xen": XEN_VERSION,
    "linux": "6.1.0-18-amd64",
    "xapi": "1.0",
}

CAPABILITIES = ("xen-3.0-x86_64", "hvm-3.0-x86_32", "hvm-3.0-x86_32p", "hvm-3.0-x86_64")


def make_hosts(making: Making) -> None:
    """Make the hosts, their metrics and CPUs."""
    hosts = making.scenario.hosts
    taken = (hosts.xen_memory_mib + hosts.control_domain_memory_mib + hosts.control_domain_vcpus + 2) * MIB
    total = max(hosts.memory_gib * GIB, grown(taken + making.memory_of_vms() // hosts.count * 5 // 4))
    for number in range(hosts.count):
        _make_host(making, number, total)
        making.free.append(total - hosts.xen_memory_mib * MIB)


def _make_host(making: Making, number: int, memory: int) -> None:
    hosts, name = making.scenario.hosts, making.scenario.hosts.name.format(number=number + 1)
    booted = making.now - timedelta(days=30, minutes=7 * number)
    metrics = making.create("host_metrics", f"host/{number}/metrics", memory_total=memory, live=True)
    host = making.create(
        "host",
        f"host/{number}",
        name_label=name,
        name_description=f"Simulated host {number + 1}",
        hostname=f"{name}.{hosts.domain}",
        address=making.address(number),
        API_version_major=2,
        API_version_minor=21,
        API_version_vendor="XenSource",
        software_version={**SOFTWARE, "hostname": name, "date": "2025-01-01"},
        capabilities=CAPABILITIES,
        virtual_hardware_platform_versions=[0, 1, 2],
        sched_policy="credit2",
        supported_bootloaders=["pygrub", "eliloader"],
        cpu_info=cpu_info(making, 1),
        cpu_configuration={},
        memory_overhead=hosts.xen_memory_mib * MIB,
        metrics=metrics,
        bios_strings={"bios-vendor": "Xen", "bios-version": "simulated", "system-manufacturer": "Xen"},
        chipset_info={"iommu": "true"},
        edition="free",
        editions=["free"],
        iscsi_iqn=f"iqn.2025-01.{'.'.join(reversed(hosts.domain.split('.')))}:{name}",
        power_on_mode="wake-on-lan",
        suspend_image_sr=NULL,
        other_config={
            "boot_time": f"{booted.timestamp():.0f}.",
            "agent_start_time": f"{booted.timestamp() + 60:.0f}.",
        },
    )
    making.hosts.append(host)
    making.metrics.append(metrics)
    for cpu in range(hosts.cpu.count):
        _make_cpu(making, number, host, cpu)


def _make_cpu(making: Making, number: int, host: str, cpu: int) -> None:
    kind = making.scenario.hosts.cpu
    making.create(
        "host_cpu",
        f"host/{number}/cpu/{cpu}",
        host=host,
        number=cpu,
        vendor=kind.vendor,
        modelname=kind.modelname,
        family=kind.family,
        model=kind.model,
        stepping=kind.stepping,
        speed=kind.speed_mhz,
        flags=kind.flags,
        features=kind.features,
    )


def cpu_info(making: Making, hosts: int) -> dict[str, str]:
    """Return what is told of the CPUs of a number of hosts."""
    cpu = making.scenario.hosts.cpu
    return {
        "cpu_count": str(cpu.count * hosts),
        "socket_count": str(cpu.sockets * hosts),
        "threads_per_core": "1",
        "vendor": cpu.vendor,
        "modelname": cpu.modelname,
        "family": str(cpu.family),
        "model": str(cpu.model),
        "stepping": cpu.stepping,
        "speed": str(cpu.speed_mhz),
        "flags": cpu.flags,
        "features": cpu.features,
    }
