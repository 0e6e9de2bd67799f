"""What is kept beside the storage of a simulated pool: SCSI devices of hosts and VMs, crash dumps, a blob."""

from __future__ import annotations

from datetime import timedelta

from xenapi_core.classes import scsi
from xenapi_core.population.context import MIB, Making
from xenapi_core.population.identity import identity
from xenapi_core.population.storage import make_image

DUMP = 64 * MIB
"""Size of a crash dump (bytes)."""


def make_attachments(making: Making) -> None:
    """Make the SCSI devices of each host, give one to the first VM, and keep a dump of each kind and a blob."""
    for number, host in enumerate(making.hosts):
        _make_scsi(making, number, host)
    _, vm = identity(making.scenario.seed, "vm/0")
    if making.scenario.hosts.scsi:
        _give_device(making, vm)
    _make_dumps(making, vm)
    notes = {"name_label": "notes", "mime_type": "text/plain", "last_updated": making.now}
    making.change.update(making.default_sr, blobs={"notes": making.create("blob", "blob/notes", **notes)})


def _make_scsi(making: Making, number: int, host: str) -> None:
    path = f"host/{number}/scsi"
    adapter = making.create("PSCSI_HBA", path, host=host, physical_host=0)
    for target, disk in enumerate(making.scenario.hosts.scsi):
        uuid, _ = identity(making.scenario.seed, f"{path}/{target}")
        making.create(
            "PSCSI",
            f"{path}/{target}",
            host=host,
            HBA=adapter,
            physical_target=target,
            physical_HCTL=f"0:0:{target}:0",
            vendor_name=disk.vendor,
            model=disk.model,
            revision=disk.revision,
            type="disk",
            dev_name=f"sd{chr(ord('a') + target)}",
            sg_name=f"sg{target}",
            scsi_id=f"35000c5{uuid.replace('-', '')[:10]}",
            scsi_level=7,
        )


def _give_device(making: Making, vm: str) -> None:
    adapter = making.create("DSCSI_HBA", "vm/0/scsi", VM=vm, virtual_host=0, assignment_mode=scsi.LUN)
    _, device = identity(making.scenario.seed, "host/0/scsi/0")
    _, behind = identity(making.scenario.seed, "host/0/scsi")
    making.change.update(adapter, PSCSI_HBAs=[behind])
    making.create(
        "DSCSI",
        "vm/0/scsi/0",
        VM=vm,
        PSCSI=device,
        HBA=adapter,
        virtual_HCTL="0:0:0:0",
        runtime_properties={"dev": making.change.record(device)["dev_name"]},
    )


def _make_dumps(making: Making, vm: str) -> None:
    image = make_image(making, "vm/0/crash/image", DUMP, DUMP, name_label="Crash dump", type="crashdump")
    making.create("crashdump", "vm/0/crash", VM=vm, VDI=image)
    crashed = making.now - timedelta(days=40)
    making.create("host_crashdump", "host/0/crash", host=making.hosts[0], timestamp=crashed, size=DUMP)
