"""Making the objects of a simulated pool as a scenario declares them.

Every object has a path, such as "vm/7/disk/0"; its uuid, its reference and its addresses follow from the path and the
seed alone, so the same scenario gives the same pool, and a VM more changes nothing about the others.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from ipaddress import IPv4Network
from itertools import cycle, islice
from typing import Any
from uuid import UUID

from xenapi_core.classes import placement, power
from xenapi_core.datamodel import NULL, Change, Store
from xenapi_core.hypervisors.description import describe
from xenapi_core.hypervisors.interface import Domain
from xenapi_core.hypervisors.simulated import guest_of
from xenapi_core.scenario import Network, Scenario, Storage, Template

MIB, GIB = 1 << 20, 1 << 30

GROWTH = 64 * GIB
"""Hosts and storage that are too small for the VMs grow by multiples of this."""

THIN = 4
"""A disk takes one part in so many of its size when the pool is made."""

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


def populate(store: Store, scenario: Scenario) -> None:
    """Make the pool that a scenario declares, in one step, unless the store has a pool already."""
    if next(iter(store.records("pool")), None) is None:
        with store.write() as change:
            Population(change, scenario).make()


def identity(seed: int, path: str) -> tuple[str, str]:
    """Return the uuid and the reference of the object with a path."""
    digest = blake2b(f"{seed}/{path}".encode(), digest_size=32).digest()
    return str(UUID(bytes=digest[:16], version=4)), f"OpaqueRef:{UUID(bytes=digest[16:], version=4)}"


def mac(seed: int, number: int) -> str:
    """Return the MAC address of the virtual NIC with a number: unique below 16,516,096, never ending in 00 or ff."""
    start = int.from_bytes(blake2b(str(seed).encode(), digest_size=4).digest(), "big")
    high, low = divmod((start + number) % (65024 * 254), 254)
    return f"00:16:3e:{high >> 8:02x}:{high & 0xFF:02x}:{low + 1:02x}"


class Population:
    """A pool in the making."""

    def __init__(self, change: Change, scenario: Scenario) -> None:
        self._change = change
        self._scenario = scenario
        self._now = datetime.now(UTC).replace(microsecond=0)
        self._hosts: list[str] = []
        self._metrics: list[str] = []
        self._free: list[int] = []
        self._networks: dict[str, str] = {}
        self._default_sr = ""
        self._allocated = [0, 0]
        """Virtual and physical size of the images in the default repository (bytes)."""

    def make(self) -> None:
        """Make all objects. The order is that in which the API lists them."""
        self._make_hosts()
        for number, network in enumerate(self._scenario.networks):
            self._make_network(number, network)
        for number, storage in enumerate(self._scenario.storage):
            self._make_storage(number, storage)
        pool = self._scenario.pool
        self._create(
            "pool",
            "pool",
            name_label=pool.name,
            name_description=pool.description,
            master=self._hosts[0],
            default_SR=self._default_sr,
            suspend_image_SR=self._default_sr,
            crash_dump_SR=self._default_sr,
            cpu_info=self._cpu_info(len(self._hosts)),
            other_config={"auto_poweron": "false"},
        )
        for number, host in enumerate(self._hosts):
            self._make_control_domain(number, host)
        for template in self._scenario.templates:
            self._make_vm(f"template/{template.name}", template.name, template, is_a_template=True)
        self._make_vms()
        for metrics, free in zip(self._metrics, self._free, strict=True):
            self._change.update(metrics, memory_free=free)
        virtual, physical = self._allocated
        self._change.update(self._default_sr, virtual_allocation=virtual, physical_utilisation=physical)

    def _create(self, cls: str, path: str, **values: Any) -> str:
        uuid, ref = identity(self._scenario.seed, path)
        return self._change.create(cls, {"uuid": uuid, **values}, ref)

    # Hosts

    def _make_hosts(self) -> None:
        hosts = self._scenario.hosts
        taken = (hosts.xen_memory_mib + hosts.control_domain_memory_mib + hosts.control_domain_vcpus + 2) * MIB
        total = max(hosts.memory_gib * GIB, _grown(taken + self._memory_of_vms() // hosts.count * 5 // 4))
        for number in range(hosts.count):
            self._make_host(number, total)
            self._free.append(total - hosts.xen_memory_mib * MIB)

    def _make_host(self, number: int, memory: int) -> None:
        hosts, name = self._scenario.hosts, self._scenario.hosts.name.format(number=number + 1)
        booted = self._now - timedelta(days=30, minutes=7 * number)
        metrics = self._create("host_metrics", f"host/{number}/metrics", memory_total=memory, live=True)
        host = self._create(
            "host",
            f"host/{number}",
            name_label=name,
            name_description=f"Simulated host {number + 1}",
            hostname=f"{name}.{hosts.domain}",
            address=self._address(number),
            API_version_major=2,
            API_version_minor=21,
            API_version_vendor="XenSource",
            software_version={**SOFTWARE, "hostname": name, "date": "2025-01-01"},
            capabilities=CAPABILITIES,
            virtual_hardware_platform_versions=[0, 1, 2],
            sched_policy="credit2",
            supported_bootloaders=["pygrub", "eliloader"],
            cpu_info=self._cpu_info(1),
            cpu_configuration={},
            memory_overhead=hosts.xen_memory_mib * MIB,
            metrics=metrics,
            bios_strings={"bios-vendor": "Xen", "bios-version": "simulated", "system-manufacturer": "Xen"},
            chipset_info={"iommu": "true"},
            edition="free",
            editions=["free"],
            iscsi_iqn=f"iqn.2025-01.{'.'.join(reversed(hosts.domain.split('.')))}:{name}",
            suspend_image_sr=NULL,
            other_config={
                "boot_time": f"{booted.timestamp():.0f}.",
                "agent_start_time": f"{booted.timestamp() + 60:.0f}.",
            },
        )
        self._hosts.append(host)
        self._metrics.append(metrics)
        for cpu in range(hosts.cpu.count):
            self._make_cpu(number, host, cpu)

    def _make_cpu(self, number: int, host: str, cpu: int) -> None:
        kind = self._scenario.hosts.cpu
        self._create(
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

    def _cpu_info(self, hosts: int) -> dict[str, str]:
        cpu = self._scenario.hosts.cpu
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

    def _address(self, host: int, network: Network | None = None) -> str:
        """Return a host's address on a network, on that for management if none is named."""
        network = network or next(net for net in self._scenario.networks if net.management and net.device)
        return str(IPv4Network(network.subnet)[host + 1 + 10]) if network.subnet else ""

    def _memory_of_vms(self) -> int:
        templates = islice(cycle(self._scenario.templates), self._scenario.vms.count)
        return sum((template.memory_mib * 257 // 256 + template.vcpus + 4) * MIB for template in templates)

    # Networks

    def _make_network(self, number: int, network: Network) -> None:
        path = f"network/{number}"
        ref = self._create(
            "network", path, name_label=network.name, name_description=network.description, bridge=network.bridge
        )
        self._networks[network.name] = ref
        if network.device:
            for host in range(len(self._hosts)):
                self._make_pif(f"{path}/host/{host}", host, network, ref, number)

    def _make_pif(self, path: str, host: int, network: Network, ref: str, number: int) -> None:
        metrics = self._create(
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
        address = self._address(host, network)
        subnet = IPv4Network(network.subnet) if network.subnet else None
        self._create(
            "PIF",
            path,
            device=network.device,
            host=self._hosts[host],
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

    # Storage

    def _make_storage(self, number: int, storage: Storage) -> None:
        if storage.shared:
            self._make_repository(f"storage/{number}", storage, self._hosts)
            return
        for index, host in enumerate(self._hosts):
            sr = self._make_repository(f"storage/{number}/host/{index}", storage, [host])
            self._change.update(host, crash_dump_sr=sr)

    def _make_repository(self, path: str, storage: Storage, hosts: list[str]) -> str:
        size = storage.size_gib * GIB
        if storage.default:
            size = max(size, _grown(self._space_of_vms()))
        used = sum(image.size_mib for image in storage.images) * MIB
        sr = self._create(
            "SR",
            path,
            name_label=storage.name,
            name_description=storage.description,
            type=storage.type,
            content_type="iso" if storage.type == "iso" else "user",
            shared=storage.shared,
            physical_size=size,
            virtual_allocation=used,
            physical_utilisation=used,
        )
        for number, host in enumerate(hosts):
            device = dict(storage.device)
            self._create("PBD", f"{path}/pbd/{number}", host=host, SR=sr, device_config=device, currently_attached=True)
        for image in storage.images:
            self._create(
                "VDI",
                f"{path}/image/{image.name}",
                name_label=image.name,
                SR=sr,
                location=image.name,
                virtual_size=image.size_mib * MIB,
                physical_utilisation=image.size_mib * MIB,
                read_only=True,
                sharable=True,
                managed=True,
            )
        if storage.default:
            self._default_sr = sr
            self._allocated = [used, used]
        return sr

    def _space_of_vms(self) -> int:
        """Return the space that all VMs can take, suspended and with full disks (bytes)."""
        vms = self._scenario.vms
        return vms.count * sum(vms.disks_gib) * GIB + 2 * self._memory_of_vms()

    # VMs

    def _make_control_domain(self, number: int, host: str) -> None:
        hosts = self._scenario.hosts
        memory, vcpus, path = hosts.control_domain_memory_mib * MIB, hosts.control_domain_vcpus, f"host/{number}/domain"
        metrics = self._create(
            "VM_metrics",
            f"{path}/metrics",
            VCPUs_number=vcpus,
            state=["running"],
            start_time=self._now - timedelta(days=30),
            install_time=self._now - timedelta(days=60),
            current_domain_type="pv",
        )
        vm = self._create(
            "VM",
            path,
            name_label=f"Control domain on host: {hosts.name.format(number=number + 1)}",
            name_description="The domain which manages physical devices and manages other domains",
            is_control_domain=True,
            power_state="Running",
            resident_on=host,
            affinity=host,
            domid=0,
            domarch="x86_64",
            domain_type="pv",
            PV_kernel="/boot/vmlinuz",
            VCPUs_max=vcpus,
            VCPUs_at_startup=vcpus,
            **_fixed_memory(memory),
            memory_target=memory,
            actions_after_shutdown="destroy",
            actions_after_reboot="destroy",
            actions_after_crash="destroy",
            metrics=metrics,
        )
        overhead = placement.overhead(self._change.record(vm))
        self._change.update(vm, memory_overhead=overhead)
        self._change.update(host, control_domain=vm)
        self._free[number] -= memory + overhead

    def _make_vms(self) -> None:
        vms = self._scenario.vms
        states = [*islice(cycle(vms.states), vms.count - 1), "Halted"]
        made = []
        for number, template in zip(range(vms.count), cycle(self._scenario.templates), strict=False):
            path = f"vm/{number}"
            made.append(self._make_vm(path, vms.name.format(number=number + 1), template))
            self._make_devices(path, made[-1], number, template)
        running = 0
        for number, (vm, state) in enumerate(zip(made, states, strict=True)):
            if state in ("Running", "Paused"):
                self._bring_up(f"vm/{number}", vm, running, paused=state == "Paused")
                running += 1
            elif state == "Suspended":
                self._suspend(f"vm/{number}", vm)

    def _make_vm(self, path: str, name: str, template: Template, *, is_a_template: bool = False) -> str:
        installed = self._now - timedelta(days=20)
        metrics = self._create("VM_metrics", f"{path}/metrics", install_time=installed)
        description = "Default template" if is_a_template else f"Made from the template {template.name}"
        vm = self._create(
            "VM",
            path,
            name_label=name,
            name_description=description,
            is_a_template=is_a_template,
            is_default_template=is_a_template,
            reference_label=template.system,
            VCPUs_max=template.vcpus,
            VCPUs_at_startup=template.vcpus,
            **_fixed_memory(template.memory_mib * MIB),
            **_boot(template),
            metrics=metrics,
        )
        self._change.update(vm, memory_overhead=placement.overhead(self._change.record(vm)))
        return vm

    def _make_devices(self, path: str, vm: str, number: int, template: Template) -> None:
        vms = self._scenario.vms
        for disk, size in enumerate(vms.disks_gib):
            self._make_disk(f"{path}/disk/{disk}", vm, disk, size * GIB)
        for nic, network in enumerate(vms.networks):
            self._create(
                "VIF",
                f"{path}/nic/{nic}",
                VM=vm,
                network=self._networks[network],
                device=str(nic),
                MAC=mac(self._scenario.seed, number * len(vms.networks) + nic),
                MAC_autogenerated=True,
                MTU=1500,
                metrics=self._create("VIF_metrics", f"{path}/nic/{nic}/metrics"),
            )
        console = f"{path}/console"
        uuid, _ = identity(self._scenario.seed, console)
        protocol = "rfb" if template.kind == "hvm" else "vt100"
        location = f"https://{self._address(0)}/console?uuid={uuid}"
        self._create("console", console, VM=vm, protocol=protocol, location=location)

    def _make_disk(self, path: str, vm: str, number: int, size: int) -> None:
        vdi = self._make_image(path, size, size // THIN, name_label=f"disk {number}")
        self._create(
            "VBD",
            f"{path}/vbd",
            VM=vm,
            VDI=vdi,
            userdevice=str(number),
            device=f"xvd{'abcdefghijklmnop'[number]}",
            bootable=number == 0,
            mode="RW",
            type="Disk",
            metrics=self._create("VBD_metrics", f"{path}/metrics"),
        )

    def _make_image(self, path: str, size: int, used: int, **values: Any) -> str:
        uuid, _ = identity(self._scenario.seed, path)
        self._allocated[0] += size
        self._allocated[1] += used
        return self._create(
            "VDI",
            path,
            SR=self._default_sr,
            location=uuid,
            virtual_size=size,
            physical_utilisation=used,
            managed=True,
            **values,
        )

    def _bring_up(self, path: str, vm: str, running: int, *, paused: bool) -> None:
        turn, index = divmod(running, len(self._hosts))
        self._change.update(vm, memory_target=self._change.record(vm)["memory_dynamic_max"])
        record = self._change.record(vm)
        config = describe(self._change, record)
        guest = guest_of(config)
        if guest is not None:
            self._change.update(vm, guest_metrics=self._create("VM_guest_metrics", f"{path}/guest_metrics"))
        domain = Domain(
            uuid=config.uuid,
            domid=turn + 1,
            paused=paused,
            memory=config.memory,
            vcpus=config.vcpus,
            started=self._now - timedelta(days=10, seconds=37 * running),
            kind=config.kind,
            guest=guest,
        )
        power.up(self._change, vm, self._hosts[index], domain)
        self._free[index] -= placement.needed(record)

    def _suspend(self, path: str, vm: str) -> None:
        record = self._change.record(vm)
        memory = record["memory_dynamic_max"]
        size = memory + power.MEMORY_IMAGE_RESERVE
        image = self._make_image(
            f"{path}/suspended",
            size,
            size,
            name_label="Suspend image",
            name_description=f"Memory of {record['name_label']}",
            type="suspend",
        )
        self._change.update(vm, power_state="Suspended", suspend_VDI=image, memory_target=memory)


def _grown(size: int) -> int:
    return -(-size // GROWTH) * GROWTH


def _fixed_memory(memory: int) -> dict[str, int]:
    return {
        "memory_static_max": memory,
        "memory_dynamic_max": memory,
        "memory_dynamic_min": memory,
        "memory_static_min": memory // 2,
    }


def _boot(template: Template) -> dict[str, Any]:
    if template.kind == "hvm":
        return {
            "domain_type": "hvm",
            "HVM_boot_policy": "BIOS order",
            "HVM_boot_params": {"order": "cdn", "firmware": template.firmware},
            "platform": {
                "acpi": "1",
                "apic": "true",
                "pae": "true",
                "nx": "true",
                "device-model": "qemu-upstream-compat",
            },
        }
    return {
        "domain_type": template.kind,
        "PV_bootloader": "pygrub",
        "PV_args": "console=hvc0",
        "platform": {"acpi": "1", "apic": "true", "pae": "true", "nx": "true"},
    }
