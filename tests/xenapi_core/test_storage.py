"""Storage: repositories, their attachments, disk images and the devices that show them to VMs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from tests.xenapi_core.conftest import SimulatedPool
from xenapi_core.classes import drives, images, repositories
from xenapi_core.classes.drivers import DRIVERS
from xenapi_core.datamodel import NULL, Datamodel, Record, XenApiError
from xenapi_core.hypervisors.simulated import Timings
from xenapi_core.population import populate
from xenapi_core.scenario import load
from xenapi_core.store import Store

GIB = 1 << 30

CONFIGS = {
    "ext": {"device": "/dev/sdz"},
    "lvm": {"device": "/dev/sdz"},
    "file": {"location": "/srv/images"},
    "nfs": {"server": "198.51.100.7", "serverpath": "/export/a"},
    "lvmoiscsi": {"target": "198.51.100.8", "targetIQN": "iqn.2025-01.example:a", "SCSIid": "3600a"},
    "lvmohba": {"SCSIid": "3600b"},
    "iso": {"location": "198.51.100.7:/export/iso"},
    "udev": {"location": "/dev/xapi/cd"},
}
"""A configuration that works for each kind of storage."""


def host(pool: SimulatedPool) -> str:
    return str(next(iter(pool.store.records("host"))).ref)


def default_sr(pool: SimulatedPool) -> str:
    return str(next(iter(pool.store.records("pool")))["default_SR"])


async def make_sr(pool: SimulatedPool, kind: str = "nfs", *, size: int = 0, shared: bool = True) -> str:
    made = await pool.do("SR.create", host(pool), CONFIGS[kind], size, "made", "", kind, "", shared, {})
    return str(made)


async def make_vdi(pool: SimulatedPool, sr: str, size: int = GIB, **fields: Any) -> str:
    return str(await pool.do("VDI.create", {"SR": sr, "virtual_size": size, **fields}))


async def make_vbd(pool: SimulatedPool, vm: str, vdi: str = NULL, **fields: Any) -> str:
    return str(await pool.do("VBD.create", {"VM": vm, "VDI": vdi, "userdevice": "", **fields}))


async def refused(pool: SimulatedPool, *call: Any) -> list[str]:
    with pytest.raises(XenApiError) as caught:
        await pool.do(*call)
    return list(caught.value.description)


def image(pool: SimulatedPool) -> Record:
    """Return a CD image."""
    found: Record = next(vdi for vdi in pool.store.records("VDI") if vdi["read_only"])
    return found


# Repositories


@pytest.mark.parametrize("kind", DRIVERS)
async def test_every_kind_of_storage_can_be_made_and_taken_away(pool: SimulatedPool, kind: str) -> None:
    shared = DRIVERS[kind].shared
    sr = await make_sr(pool, kind, shared=shared)
    record = pool.record(sr)
    assert record["type"] == kind
    assert record["physical_size"] == DRIVERS[kind].size
    assert len(record["PBDs"]) == (2 if shared else 1)
    assert all(pool.record(pbd)["currently_attached"] for pbd in record["PBDs"])
    assert "destroy" not in record["allowed_operations"]
    assert await refused(pool, "SR.destroy", sr) == ["SR_HAS_PBD", sr]
    for pbd in record["PBDs"]:
        await pool.do("PBD.unplug", pbd)
    assert "destroy" in pool.record(sr)["allowed_operations"]
    await pool.do("SR.destroy", sr)
    assert pool.store.get(sr) is None
    assert all(pool.store.get(pbd) is None for pbd in record["PBDs"])


@pytest.mark.parametrize(("kind", "key"), [(kind, key.name) for kind in DRIVERS for key in DRIVERS[kind].keys])
async def test_what_a_host_is_not_told_fails_and_leaves_nothing(pool: SimulatedPool, kind: str, key: str) -> None:
    config = {name: value for name, value in CONFIGS[kind].items() if name != key}
    before = [record.ref for record in pool.store.records("SR")]
    code, status, _, text = await refused(pool, "SR.create", host(pool), config, 0, "x", "", kind, "", False, {})
    wanted = next(each.missing for each in DRIVERS[kind].keys if each.name == key)
    assert (code, status, text) == ("SR_BACKEND_FAILURE", str(wanted[0]), wanted[1])
    assert [record.ref for record in pool.store.records("SR")] == before


async def test_servers_that_never_exist_do_not_answer(pool: SimulatedPool) -> None:
    config = {"server": "nas.invalid", "serverpath": "/export"}
    failure = await refused(pool, "SR.create", host(pool), config, 0, "x", "", "nfs", "", True, {})
    assert failure[:2] == ["SR_BACKEND_FAILURE", "140"]


async def test_storage_that_cannot_be(pool: SimulatedPool) -> None:
    assert await refused(pool, "SR.create", host(pool), {}, 0, "x", "", "tape", "", False, {}) == [
        "SR_UNKNOWN_DRIVER",
        "tape",
    ]
    failure = await refused(pool, "SR.create", host(pool), CONFIGS["ext"], 0, "x", "", "ext", "", True, {})
    assert failure[0] == "VALUE_NOT_SUPPORTED"
    await make_sr(pool, "ext", shared=False)
    again = await refused(pool, "SR.create", host(pool), CONFIGS["ext"], 0, "x", "", "ext", "", False, {})
    assert again == ["SR_DEVICE_IN_USE"]


async def test_a_repository_is_introduced_attached_and_forgotten(pool: SimulatedPool) -> None:
    identity = "0b9a2f5e-3c1d-4a53-9a51-2f64d1f1c001"
    sr = await pool.do("SR.introduce", identity, "old", "", "nfs", "user", True, {})
    assert await refused(pool, "SR.scan", sr) == ["SR_HAS_NO_PBDS", sr]
    assert await refused(pool, "SR.introduce", identity, "", "", "nfs", "", True, {}) == ["SR_UUID_EXISTS", identity]
    pbd = await pool.do("PBD.create", {"host": host(pool), "SR": sr, "device_config": {"server": "198.51.100.9"}})
    assert (await refused(pool, "PBD.plug", pbd))[:2] == ["SR_BACKEND_FAILURE", "101"]
    assert await refused(pool, "PBD.create", {"host": host(pool), "SR": sr}) == ["PBD_EXISTS", sr, host(pool), pbd]
    await pool.do("PBD.set_device_config", pbd, {"server": "198.51.100.9", "serverpath": "/b"})
    await pool.do("PBD.plug", pbd)
    assert (await refused(pool, "PBD.destroy", pbd))[0] == "OPERATION_NOT_ALLOWED"
    assert identity in await pool.do("SR.probe", host(pool), {"server": "198.51.100.9", "serverpath": "/b"}, "nfs", {})
    vdi = await make_vdi(pool, sr)
    assert "snapshot" in pool.record(vdi)["allowed_operations"]
    await pool.do("PBD.unplug", pbd)
    assert pool.record(vdi)["allowed_operations"] == (images.vdi_operations.forget,)
    assert await refused(pool, "VDI.destroy", vdi) == ["SR_NOT_ATTACHED", sr]
    assert await refused(pool, "SR.destroy", sr) == ["SR_NOT_EMPTY"]
    await pool.do("SR.forget", sr)
    assert pool.store.get(sr) is None
    assert pool.store.get(vdi) is None


async def test_storage_in_use_stays_attached(pool: SimulatedPool) -> None:
    vm = pool.record(pool.vm("Running"))
    sr = pool.record(pool.record(pool.record(vm["VBDs"][0])["VDI"])["SR"])
    pbd = next(pbd for pbd in sr["PBDs"] if pool.record(pbd)["host"] == vm["resident_on"])
    assert (await refused(pool, "PBD.unplug", pbd))[0] == "VDI_IN_USE"
    assert pool.record(pbd)["currently_attached"]
    assert not pool.record(sr.ref)["current_operations"]


async def test_replicas_of_the_database(pool: SimulatedPool) -> None:
    sr = default_sr(pool)
    await pool.do("SR.enable_database_replication", sr)
    (vdi,) = [vdi for vdi in pool.record(sr)["VDIs"] if pool.record(vdi)["type"] == "metadata"]
    owner = next(iter(pool.store.records("pool")))
    assert await pool.do("VDI.read_database_pool_uuid", vdi) == owner["uuid"]
    await pool.do("SR.disable_database_replication", sr)
    assert pool.store.get(vdi) is None


# Images


async def test_images_take_space_where_they_are(pool: SimulatedPool) -> None:
    sr = await make_sr(pool, "lvm", size=4 * GIB, shared=False)
    vdi = await make_vdi(pool, sr, 3 * GIB)
    assert pool.record(sr)["physical_utilisation"] == 3 * GIB
    assert await refused(pool, "VDI.create", {"SR": sr, "virtual_size": 2 * GIB}) == [
        "SR_FULL",
        str(2 * GIB),
        str(GIB),
    ]
    await pool.do("VDI.resize", vdi, 4 * GIB)
    assert pool.record(sr)["virtual_allocation"] == pool.record(sr)["physical_utilisation"] == 4 * GIB
    assert await refused(pool, "VDI.resize", vdi, GIB) == ["VDI_TOO_SMALL", vdi, str(4 * GIB)]
    await pool.do("VDI.destroy", vdi)
    assert pool.record(sr)["virtual_allocation"] == pool.record(sr)["physical_utilisation"] == 0


async def test_snapshots_know_what_they_are_of(pool: SimulatedPool) -> None:
    vdi = await make_vdi(pool, default_sr(pool), name_label="data")
    snapshot = await pool.do("VDI.snapshot", vdi, {})
    assert pool.record(snapshot)["snapshot_of"] == vdi
    assert pool.record(vdi)["snapshots"] == (snapshot,)
    clone = await pool.do("VDI.clone", snapshot, {})
    assert not pool.record(clone)["is_a_snapshot"]
    assert pool.record(clone)["name_label"] == "data"
    await pool.do("VDI.destroy", vdi)
    assert pool.record(snapshot)["snapshot_of"] == NULL


async def test_a_cancelled_copy_leaves_nothing(make_pool: Any) -> None:
    pool = make_pool(timings=Timings().scaled(1))
    vdi = pool.record(pool.record(pool.vm("Halted"))["VBDs"][0])["VDI"]
    target = default_sr(pool)
    before = [record.ref for record in pool.store.records("VDI")]
    used = pool.record(target)["physical_utilisation"]
    copying = asyncio.create_task(pool.do("VDI.copy", vdi, target))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "copy" in pool.record(vdi)["current_operations"].values()
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
    assert [record.ref for record in pool.store.records("VDI")] == before
    assert pool.record(target)["physical_utilisation"] == used
    assert not pool.record(vdi)["current_operations"]


async def test_copies_are_whole(pool: SimulatedPool) -> None:
    vdi = pool.record(pool.record(pool.vm("Halted"))["VBDs"][0])["VDI"]
    sr = await make_sr(pool)
    copy = await pool.do("VDI.copy", vdi, sr)
    assert pool.record(copy)["SR"] == sr
    assert pool.record(copy)["physical_utilisation"] == pool.record(vdi)["physical_utilisation"] > 0
    small = await make_vdi(pool, sr, GIB)
    size = str(pool.record(vdi)["virtual_size"])
    assert await refused(pool, "VDI.copy", vdi, NULL, NULL, small) == ["VDI_TOO_SMALL", small, size]


async def test_an_image_in_use_moves_with_its_vm(pool: SimulatedPool) -> None:
    vdi = pool.record(pool.record(pool.vm("Running"))["VBDs"][0])["VDI"]
    sr = await make_sr(pool)
    assert await pool.do("VDI.pool_migrate", vdi, sr, {}) == vdi
    assert pool.record(vdi)["SR"] == sr
    lonely = await make_vdi(pool, sr)
    assert await refused(pool, "VDI.pool_migrate", lonely, sr, {}) == ["VDI_NEEDS_VM_FOR_MIGRATE", lonely]


async def test_images_in_use_are_not_taken_away(pool: SimulatedPool) -> None:
    vdi = pool.record(pool.record(pool.vm("Running"))["VBDs"][0])["VDI"]
    assert await refused(pool, "VDI.destroy", vdi) == ["VDI_IN_USE", vdi, "destroy"]
    assert await refused(pool, "VDI.resize", vdi, 1 << 40) == ["VDI_IN_USE", vdi, "resize"]
    assert set(pool.record(vdi)["allowed_operations"]) == {
        "snapshot",
        "resize_online",
        "mirror",
        "update",
        "enable_cbt",
        "disable_cbt",
        "list_changed_blocks",
    }


async def test_changed_blocks(pool: SimulatedPool) -> None:
    vdi = await make_vdi(pool, default_sr(pool), 1 << 20)
    assert await refused(pool, "VDI.list_changed_blocks", vdi, vdi) == ["VDI_NO_CBT_METADATA", vdi]
    await pool.do("VDI.enable_cbt", vdi)
    larger = await make_vdi(pool, default_sr(pool), 2 << 20)
    await pool.do("VDI.enable_cbt", larger)
    assert await pool.do("VDI.list_changed_blocks", vdi, larger) == "AAD//w=="
    assert (await refused(pool, "VDI.data_destroy", vdi))[0] == "OPERATION_NOT_ALLOWED"


async def test_physical_devices_are_not_destroyed(pool: SimulatedPool) -> None:
    sr = await make_sr(pool, "udev", shared=False)
    arguments: tuple[Any, ...] = ("", "cd", "", sr, "user", False, True, {}, "/dev/sr0")
    vdi = await pool.do("VDI.introduce", *arguments)
    assert await refused(pool, "VDI.destroy", vdi) == ["VDI_IS_A_PHYSICAL_DEVICE", vdi]
    assert await refused(pool, "VDI.introduce", *arguments) == ["LOCATION_NOT_UNIQUE", sr, "/dev/sr0"]


# Devices


async def test_hot_plug(pool: SimulatedPool) -> None:
    vm = pool.vm("Running")
    vbd = await make_vbd(pool, vm, await make_vdi(pool, default_sr(pool)))
    assert pool.record(vbd)["userdevice"] == "2"
    assert pool.record(vbd)["device"] == "xvdc"
    assert await refused(pool, "VBD.unplug", vbd) == ["DEVICE_ALREADY_DETACHED", vbd]
    await pool.do("VBD.plug", vbd)
    assert pool.record(vbd)["currently_attached"]
    assert await refused(pool, "VBD.plug", vbd) == ["DEVICE_ALREADY_ATTACHED", vbd]
    assert (await refused(pool, "VBD.destroy", vbd))[0] == "OPERATION_NOT_ALLOWED"
    await pool.do("VBD.unplug", vbd)
    await pool.do("VBD.unplug_force", vbd)
    await pool.do("VBD.destroy", vbd)
    assert pool.store.get(vbd) is None


async def test_devices_follow_the_power_state_of_their_vm(pool: SimulatedPool) -> None:
    vm = pool.vm("Halted")
    vbd = pool.record(vm)["VBDs"][0]
    assert await refused(pool, "VBD.plug", vbd) == ["VM_BAD_POWER_STATE", vm, "running", "halted"]
    assert pool.record(vbd)["allowed_operations"] == (drives.vbd_operations.attach,)
    await pool.do("VM.start", vm, False)
    assert set(pool.record(vbd)["allowed_operations"]) == {"unplug", "unplug_force"}


async def test_positions(pool: SimulatedPool) -> None:
    vm = pool.vm("Halted")
    vdi = await make_vdi(pool, default_sr(pool))
    assert await refused(pool, "VBD.create", {"VM": vm, "VDI": vdi, "userdevice": "0"}) == [
        "DEVICE_ALREADY_EXISTS",
        "0",
    ]
    for wrong in ("-1", "16", "x", "xvdz9", "²"):
        failure = await refused(pool, "VBD.create", {"VM": vm, "VDI": vdi, "userdevice": wrong})
        assert failure == ["INVALID_VALUE", "userdevice", wrong]
    vbd = await make_vbd(pool, vm, vdi, userdevice="hdd")
    assert pool.record(vbd)["device"] == "xvdd"
    await pool.do("VBD.set_device", vbd, "xvde")
    assert pool.record(vbd)["userdevice"] == "4"


async def test_media(pool: SimulatedPool) -> None:
    vm, cd = pool.vm("Running"), image(pool).ref
    drive = await make_vbd(pool, vm, type="CD")
    assert pool.record(drive)["empty"]
    assert await refused(pool, "VBD.eject", drive) == ["VBD_IS_EMPTY", drive]
    await pool.do("VBD.plug", drive)
    await pool.do("VBD.insert", drive, cd)
    assert pool.record(drive)["VDI"] == cd
    assert await refused(pool, "VBD.insert", drive, cd) == ["VBD_NOT_EMPTY", drive]
    await pool.do("VBD.media_change", drive, cd)
    await pool.do("VBD.eject", drive)
    assert pool.record(drive)["empty"]
    disk = pool.record(vm)["VBDs"][0]
    assert await refused(pool, "VBD.eject", disk) == ["VBD_NOT_REMOVABLE_MEDIA", disk]
    assert await refused(pool, "VBD.create", {"VM": vm, "VDI": cd, "type": "CD", "mode": "RW"}) == [
        "VBD_CDS_MUST_BE_READONLY"
    ]
    assert await refused(pool, "VBD.create", {"VM": vm, "VDI": cd}) == ["VDI_READONLY", cd]


async def test_a_disk_is_written_to_by_one_vm(pool: SimulatedPool) -> None:
    first, second = (vm.ref for vm in pool.vms("Running")[:2])
    vdi = pool.record(pool.record(first)["VBDs"][0])["VDI"]
    vbd = await make_vbd(pool, second, vdi)
    assert await refused(pool, "VBD.plug", vbd) == ["VDI_IN_USE", vdi, "plug"]
    assert await refused(pool, "VBD.assert_attachable", vbd) == ["VDI_IN_USE", vdi, "attach"]


async def test_a_vm_whose_disk_is_in_use_does_not_start(pool: SimulatedPool) -> None:
    running, halted = pool.vm("Running"), pool.vm("Halted")
    vdi = pool.record(pool.record(running)["VBDs"][0])["VDI"]
    await make_vbd(pool, halted, vdi)
    assert await refused(pool, "VM.start", halted, False) == ["VDI_IN_USE", vdi, "attach"]
    assert not pool.record(halted)["current_operations"]


# What is beside storage


async def test_crash_dumps_go_with_their_image(pool: SimulatedPool) -> None:
    (dump,) = pool.store.records("crashdump")
    assert dump.ref in pool.record(dump["VM"])["crash_dumps"]
    await pool.do("crashdump.destroy", dump.ref)
    assert pool.store.get(dump["VDI"]) is None
    (own,) = pool.store.records("host_crashdump")
    assert (await refused(pool, "host_crashdump.upload", own.ref, "gopher://x", {}))[0] == "INVALID_VALUE"
    await pool.do("host_crashdump.upload", own.ref, "http://198.51.100.7/dumps", {})
    await pool.do("host_crashdump.destroy", own.ref)
    assert not list(pool.store.records("host_crashdump"))


async def test_blobs_are_kept_with_objects(pool: SimulatedPool) -> None:
    sr = default_sr(pool)
    made = await pool.do("SR.create_new_blob", sr, "icon", "image/png", True)
    assert pool.record(sr)["blobs"]["icon"] == made
    await pool.do("blob.destroy", made)
    assert "icon" not in pool.record(sr)["blobs"]


async def test_scsi_devices(pool: SimulatedPool) -> None:
    vm = pool.vm("Halted")
    devices = [device.ref for device in pool.store.records("PSCSI")]
    given = await pool.do("DSCSI.create", {"VM": vm, "PSCSI": devices[0], "virtual_HCTL": "1:0:0:0"})
    (adapter,) = pool.record(vm)["DSCSI_HBAs"]
    assert pool.record(adapter)["DSCSIs"] == (given,)
    again = await refused(pool, "DSCSI.create", {"VM": vm, "PSCSI": devices[1], "virtual_HCTL": "1:0:0:0"})
    assert again == ["DEVICE_ALREADY_EXISTS", "1:0:0:0"]
    assert (await refused(pool, "DSCSI.create", {"VM": vm, "PSCSI": devices[1]}))[0] == "INVALID_VALUE"
    await pool.do("DSCSI.destroy", given)
    assert pool.store.get(adapter) is None
    whole = await pool.do("DSCSI_HBA.create", {"VM": vm, "virtual_host": 0, "assignment_mode": "HOST"})
    assert len(pool.record(whole)["DSCSIs"]) == 2
    await pool.do("DSCSI_HBA.destroy", whole)
    assert not pool.record(vm)["DSCSIs"]


# Tables


def test_tables_know_every_operation() -> None:
    internal = {"force_unlock", "generate_config", "blocked"}  # nothing asks for them
    assert {*images.TABLE} == {*images.vdi_operations} - internal
    assert {*drives.TABLE} == {*drives.vbd_operations} - {"pause", "unpause"}
    assert {*repositories.TABLE} == {*repositories.storage_operations}


MODEL = Datamodel.load()


class Accounts(RuleBasedStateMachine):
    """Whatever is done with images and devices, space is accounted for, and no image is written to by two VMs."""

    vdis = Bundle("vdis")
    vbds = Bundle("vbds")

    @initialize()
    def begin(self) -> None:
        store = Store(MODEL)
        populate(store, load(vms=4))
        self.pool = SimulatedPool(store, Timings().scaled(0))
        self.srs = [sr.ref for sr in store.records("SR") if sr["type"] in ("nfs", "ext")]
        self.machines = [vm.ref for vm in self.pool.vms()]

    def do(self, *call: Any) -> Any:
        """Call a message; None if it is refused with one of the errors that it declares."""
        message = self.pool.model.messages[call[0]]
        try:
            return asyncio.run(self.pool.do(*call))
        except XenApiError as error:
            if error.code not in {*message.errors, "HANDLE_INVALID"}:
                raise
            return None

    @rule(target=vdis, number=st.integers(0, 9), size=st.integers(-1, 2000))
    def create(self, number: int, size: int) -> Any:
        made = self.do("VDI.create", {"SR": self.srs[number % len(self.srs)], "virtual_size": size * GIB})
        return made or multiple()

    @rule(target=vdis, vdi=vdis, message=st.sampled_from(["VDI.snapshot", "VDI.clone"]))
    def derive(self, vdi: str, message: str) -> Any:
        return self.do(message, vdi, {}) or multiple()

    @rule(target=vdis, vdi=vdis, number=st.integers(0, 9))
    def copy(self, vdi: str, number: int) -> Any:
        return self.do("VDI.copy", vdi, self.srs[number % len(self.srs)]) or multiple()

    @rule(vdi=vdis, number=st.integers(0, 9))
    def move(self, vdi: str, number: int) -> None:
        self.do("VDI.pool_migrate", vdi, self.srs[number % len(self.srs)], {})

    @rule(vdi=vdis, size=st.integers(0, 3000))
    def resize(self, vdi: str, size: int) -> None:
        self.do("VDI.resize", vdi, size * GIB)

    @rule(vdi=vdis, message=st.sampled_from(["VDI.destroy", "VDI.forget", "VDI.data_destroy", "VDI.enable_cbt"]))
    def change(self, vdi: str, message: str) -> None:
        self.do(message, vdi)

    @rule(target=vbds, vdi=vdis, number=st.integers(0, 9), mode=st.sampled_from(["RO", "RW"]))
    def give(self, vdi: str, number: int, mode: str) -> Any:
        vm = self.machines[number % len(self.machines)]
        return self.do("VBD.create", {"VM": vm, "VDI": vdi, "mode": mode}) or multiple()

    @rule(vbd=vbds, message=st.sampled_from(["VBD.plug", "VBD.unplug", "VBD.unplug_force", "VBD.destroy"]))
    def use(self, vbd: str, message: str) -> None:
        allowed = getattr(self.pool.store.get(vbd), "allowed_operations", ())
        done = self.do(message, vbd)
        assert done is None
        if message == "VBD.unplug" and "unplug" in allowed:
            assert not self.pool.record(vbd)["currently_attached"]

    @rule(
        number=st.integers(0, 9), message=st.sampled_from(["VM.start", "VM.hard_shutdown", "VM.suspend", "VM.resume"])
    )
    def power(self, number: int, message: str) -> None:
        vm = self.machines[number % len(self.machines)]
        arguments = (vm, False) if message in ("VM.start", "VM.resume") else (vm,)
        self.do(message, *arguments)

    @invariant()
    def space_is_accounted_for(self) -> None:
        if not hasattr(self, "pool"):
            return
        for sr in self.pool.store.records("SR"):
            inside = [self.pool.record(vdi) for vdi in sr["VDIs"]]
            assert sr["virtual_allocation"] == sum(vdi["virtual_size"] for vdi in inside)
            assert sr["physical_utilisation"] == sum(vdi["physical_utilisation"] for vdi in inside)
            assert sr["physical_utilisation"] <= sr["physical_size"]

    @invariant()
    def one_vm_writes_to_an_image(self) -> None:
        if not hasattr(self, "pool"):
            return
        for vdi in self.pool.store.records("VDI"):
            modes = [vbd["mode"] for vbd in map(self.pool.record, vdi["VBDs"]) if vbd["currently_attached"]]
            assert len(modes) <= 1 or "RW" not in modes

    @invariant()
    def what_is_allowed_follows_from_the_tables(self) -> None:
        if not hasattr(self, "pool"):
            return
        for cls in ("SR", "VDI", "VBD"):
            operations = self.pool.model.classes[cls].operations
            assert operations is not None
            for record in self.pool.store.records(cls):
                assert record["allowed_operations"] == tuple(operations.allowed(self.pool.store, record)), record


TestAccounts = Accounts.TestCase
TestAccounts.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
