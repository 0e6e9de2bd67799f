"""The storage of a simulated pool."""

from __future__ import annotations

from typing import Any

from xenapi_core.classes import sm
from xenapi_core.classes.drivers import DRIVERS
from xenapi_core.population.context import GIB, MIB, Making, grown
from xenapi_core.population.identity import identity
from xenapi_core.scenario import Storage

SCRATCH = GIB
"""Size of the image in each host's own repository (bytes)."""


def make_storage(making: Making) -> None:
    """Make the storage managers, the repositories with their images, and what attaches hosts to them."""
    for driver in DRIVERS.values():
        making.create("SM", f"driver/{driver.name}", **sm.fields_of(driver))
    for number, storage in enumerate(making.scenario.storage):
        _make_storage(making, number, storage)


def count_images(making: Making) -> None:
    """Write what the images of VMs take of the default repository."""
    virtual, physical = making.allocated
    making.change.update(making.default_sr, virtual_allocation=virtual, physical_utilisation=physical)


def _make_storage(making: Making, number: int, storage: Storage) -> None:
    if storage.shared:
        _make_repository(making, f"storage/{number}", storage, making.hosts)
        return
    for index, host in enumerate(making.hosts):
        path = f"storage/{number}/host/{index}"
        sr = _make_repository(making, path, storage, [host])
        _make_scratch(making, f"{path}/scratch", sr)
        making.change.update(host, crash_dump_sr=sr)


def _make_repository(making: Making, path: str, storage: Storage, hosts: list[str]) -> str:
    size = storage.size_gib * GIB
    if storage.default:
        size = max(size, grown(_space_of_vms(making)))
    used = sum(image.size_mib for image in storage.images) * MIB
    sr = making.create(
        "SR",
        path,
        name_label=storage.name,
        name_description=storage.description,
        type=storage.type,
        content_type="iso" if storage.type == "iso" else "user",
        shared=storage.shared,
        is_tools_sr=any(image.tools for image in storage.images),
        physical_size=size,
        virtual_allocation=used,
        physical_utilisation=used,
    )
    for number, host in enumerate(hosts):
        device = dict(storage.device)
        making.create("PBD", f"{path}/pbd/{number}", host=host, SR=sr, device_config=device, currently_attached=True)
    for image in storage.images:
        disc = making.create(
            "VDI",
            f"{path}/image/{image.name}",
            name_label=image.name,
            SR=sr,
            location=image.name,
            virtual_size=image.size_mib * MIB,
            physical_utilisation=image.size_mib * MIB,
            read_only=True,
            sharable=True,
            is_tools_iso=image.tools,
            managed=True,
        )
        making.discs.append(disc)
    if storage.default:
        making.default_sr = sr
        making.allocated = [used, used]
    return sr


def _make_scratch(making: Making, path: str, sr: str) -> None:
    """Make an image in a host's own repository that no VM uses."""
    uuid, _ = identity(making.scenario.seed, path)
    used = SCRATCH // 4
    making.create(
        "VDI",
        path,
        name_label="Scratch disk",
        SR=sr,
        location=uuid,
        virtual_size=SCRATCH,
        physical_utilisation=used,
        managed=True,
    )
    making.change.update(sr, virtual_allocation=SCRATCH, physical_utilisation=used)


def make_image(making: Making, path: str, size: int, used: int, **values: Any) -> str:
    """Make a disk image in the default repository, of which so much is used (bytes)."""
    uuid, _ = identity(making.scenario.seed, path)
    making.allocated[0] += size
    making.allocated[1] += used
    return making.create(
        "VDI",
        path,
        SR=making.default_sr,
        location=uuid,
        virtual_size=size,
        physical_utilisation=used,
        managed=True,
        **values,
    )


def _space_of_vms(making: Making) -> int:
    """Return the space that all VMs can take, suspended and with full disks (bytes)."""
    vms = making.scenario.vms
    return vms.count * sum(vms.disks_gib) * GIB + 2 * making.memory_of_vms()
