"""Disks, drives, images and storage pools, compared with what the Xen-API says."""

from __future__ import annotations

from typing import Any

import pytest

from cim_provider import InstanceName
from model_pairs import pairs, short
from xen_providers.methods.embedded import parse_name

NULL = "OpaqueRef:NULL"
MIB = 1 << 20


class Storage:
    """The records of the Xen-API that matter here, by class and reference."""

    def __init__(self, records: dict[str, dict[str, dict[str, Any]]]) -> None:
        self.records = records

    @classmethod
    async def read(cls, xen) -> Storage:
        names = ("host", "PBD", "SR", "VBD", "VDI", "VM")
        return cls({name: await xen.call(f"{name}.get_all_records") for name in names})

    def is_machine(self, vbd) -> bool:
        vm = self.records["VM"][vbd["VM"]]
        return not vm["is_a_template"] and not vm["is_a_snapshot"]

    def devices(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The block devices of machines."""
        return [each for each in self.all_devices(kind) if self.is_machine(each)]

    def all_devices(self, kind: str | None = None) -> list[dict[str, Any]]:
        return [each for each in self.records["VBD"].values() if kind in (None, each["type"])]

    def device_id(self, vbd) -> str:
        return f"Xen:{self.records['VM'][vbd['VM']]['uuid']}/{vbd['uuid']}"

    def image(self, vbd) -> dict[str, Any] | None:
        return self.records["VDI"].get(vbd["VDI"])

    def image_id(self, vdi) -> str:
        return f"Xen:{self.records['SR'][vdi['SR']]['uuid']}/{vdi['uuid']}"

    def hosts(self, sr) -> list[str]:
        return [self.records["host"][self.records["PBD"][pbd]["host"]]["uuid"] for pbd in sr["PBDs"]]

    def pool_id(self, sr) -> str:
        return f"Xen:{'Shared' if sr['shared'] else self.hosts(sr)[0]}/{sr['uuid']}"

    def pool_of(self, vbd) -> str:
        image = self.image(vbd)
        assert image is not None
        return self.pool_id(self.records["SR"][image["SR"]])


@pytest.fixture
async def storage(xen) -> Storage:
    return await Storage.read(xen)


def by_id(view, class_name):
    found = {short(each.name): each for each in view.instances(class_name)}
    assert len(found) == len(view.instances(class_name))
    return found


async def test_disks_say_what_the_records_say(provider, storage):
    found = by_id(provider.view(), "Xen_Disk")
    disks = storage.devices("Disk")
    assert list(found) == [storage.device_id(each) for each in disks]
    assert len(storage.all_devices("Disk")) > len(disks), "snapshots have disks too, which no machine has"
    for vbd in disks:
        disk, image = found[storage.device_id(vbd)], storage.image(vbd)
        assert disk.get("SystemCreationClassName") == "Xen_ComputerSystem"
        assert disk.get("SystemName") == storage.records["VM"][vbd["VM"]]["uuid"]
        assert (disk.get("Name"), disk.get("ElementName")) == (vbd["device"], image["name_label"])
        assert (disk.get("BlockSize"), disk.get("NumberOfBlocks")) == (1, int(image["virtual_size"]))
        assert disk.get("ConsumableBlocks") == int(image["virtual_size"]) - int(image["physical_utilisation"])
        assert disk.get("Access") == {"RO": 1, "RW": 3}[vbd["mode"]]


@pytest.mark.parametrize("class_name", ["Xen_Disk", "Xen_DiskDrive"])
async def test_what_is_attached_is_enabled_and_not_the_other_way_round(provider, storage, class_name):
    found = by_id(provider.view(), class_name)
    attached = {storage.device_id(each): each["currently_attached"] for each in storage.devices()}
    states = {True: (2, [2], "OK", 5), False: (6, [15], "Stopped", 5)}
    assert {attached[each] for each in found} == {True, False}
    for device_id, device in found.items():
        shown = tuple(map(device.get, ("EnabledState", "OperationalStatus", "Status", "HealthState")))
        assert shown == states[attached[device_id]]


async def test_drives_are_there_with_a_disc_or_without(provider, storage):
    found = by_id(provider.view(), "Xen_DiskDrive")
    drives = storage.devices("CD")
    assert list(found) == [storage.device_id(each) for each in drives]
    assert {each["empty"] for each in drives} == {True, False}
    for vbd in drives:
        drive, image = found[storage.device_id(vbd)], storage.image(vbd)
        assert drive.get("ElementName") == (vbd["device"] if image is None else image["name_label"])
        assert drive.get("Capabilities") == [3, 7]


async def test_images_say_what_the_records_say(provider, storage):
    found = by_id(provider.view(), "Xen_DiskImage")
    images = storage.records["VDI"].values()
    assert list(found) == [storage.image_id(each) for each in images]
    for vdi in images:
        image = found[storage.image_id(vdi)]
        assert image.get("SystemCreationClassName") == "Xen_StoragePool"
        assert image.get("SystemName") == storage.records["SR"][vdi["SR"]]["uuid"]
        assert (image.get("Name"), image.get("ElementName")) == (vdi["uuid"], vdi["name_label"])
        assert image.get("NumberOfBlocks") == int(vdi["virtual_size"])
        assert image.get("ConsumableBlocks") == int(vdi["virtual_size"]) - int(vdi["physical_utilisation"])
        assert image.get("Access") == (1 if vdi["read_only"] else 3)
    assert {each.get("Access") for each in found.values()} == {1, 3}


async def test_settings_are_those_of_machines_and_of_snapshots(provider, storage):
    found = by_id(provider.view(), "Xen_DiskSettingData")
    assert list(found) == [storage.device_id(each) for each in storage.all_devices()]
    for vbd in storage.all_devices():
        settings, image = found[storage.device_id(vbd)], storage.image(vbd)
        is_cd = vbd["type"] == "CD"
        assert settings.get("ResourceType") == (16 if is_cd else 19)
        assert settings.get("ResourceSubType") == "DMTF:xen:vbd"
        assert settings.get("AllocationUnits") == settings.get("VirtualQuantityUnits") == ("count" if is_cd else "byte")
        assert settings.get("VirtualQuantity") == (1 if is_cd else int(image["virtual_size"]))
        assert settings.get("Access") == {"RO": 1, "RW": 3}[vbd["mode"]]
        assert settings.get("AddressOnParent") == vbd["userdevice"]
        assert settings.get("Bootable") == vbd["bootable"]
        assert settings.get("HostExtentName") == (image and image["uuid"])
        assert settings.get("PoolID") == (image and storage.records["SR"][image["SR"]]["uuid"])
        assert settings.get("MappingBehavior") == (image and (5 if image["sharable"] else 3))


async def test_the_host_resource_of_a_disk_is_the_path_of_its_image(provider, storage):
    view = provider.view()
    found = by_id(view, "Xen_DiskSettingData")
    for vbd in storage.all_devices():
        paths, image = found[storage.device_id(vbd)].get("HostResource"), storage.image(vbd)
        if image is None:
            assert paths is None
            continue
        (path,) = paths
        name = parse_name(path)
        assert name.namespace == "root/cimv2"
        assert view.instance(name).get("DeviceID") == storage.image_id(image)


async def test_a_template_has_settings_of_disks_but_no_disks(provider, storage, xen, halted, until):
    disks = {storage.device_id(each) for each in storage.devices("Disk") if each["VM"] == halted}
    assert disks <= by_id(provider.view(), "Xen_Disk").keys()
    await xen.call("VM.set_is_a_template", halted, True)
    await until(lambda view: not disks & by_id(view, "Xen_Disk").keys())
    assert disks <= by_id(provider.view(), "Xen_DiskSettingData").keys()
    template = InstanceName("Xen_ComputerSystemTemplate", (("InstanceID", next(iter(disks)).split("/")[0]),))
    found = provider.view().references("Xen_DiskSettingDataComponent", template, "GroupComponent")
    assert disks <= {short(each.get("PartComponent")) for each in found}


async def test_storage_pools_say_what_the_records_say(provider, storage):
    found = by_id(provider.view(), "Xen_StoragePool")
    repositories = storage.records["SR"].values()
    assert list(found) == [storage.pool_id(each) for each in repositories]
    assert len({each.split("/")[0] for each in found}) == 3, "those of either host, and shared ones"
    for sr in repositories:
        pool = found[storage.pool_id(sr)]
        is_iso = sr["content_type"] == "iso"
        assert (pool.get("PoolID"), pool.get("Name"), pool.get("ElementName")) == (
            sr["uuid"],
            sr["name_label"],
            sr["name_label"],
        )
        assert (pool.get("ResourceType"), pool.get("ResourceSubType")) == (16 if is_iso else 19, sr["type"])
        assert pool.get("Capacity") == int(sr["physical_size"])
        assert pool.get("Reserved") == int(sr["physical_utilisation"])
        assert pool.get("Shared") == sr["shared"]
        assert (pool.get("OperationalStatus"), pool.get("Status"), pool.get("HealthState")) == ([2], "OK", 5)


async def test_a_pool_that_a_host_has_lost_is_degraded_and_one_that_all_have_lost_stopped(
    provider, storage, xen, until
):
    sr = next(each for each in storage.records["SR"].values() if each["type"] == "iso")
    name = InstanceName("Xen_StoragePool", (("InstanceID", storage.pool_id(sr)),))
    for vbd in storage.devices("CD"):
        if vbd["currently_attached"] and not vbd["empty"]:
            await xen.call("VBD.eject", next(ref for ref, each in storage.records["VBD"].items() if each is vbd))

    def shown(view):
        return tuple(map(view.instance(name).get, ("OperationalStatus", "Status", "HealthState")))

    for pbd, status in zip(sr["PBDs"], [([3], "Degraded", 10), ([10], "Stopped", 5)], strict=True):
        await xen.call("PBD.unplug", pbd)
        await until(lambda view, status=status: shown(view) == status)


async def test_what_can_be_allocated_from_pools(provider, storage):
    view = provider.view()
    capabilities, bounds = (
        by_id(view, f"Xen_Storage{each}") for each in ("AllocationCapabilities", "CapabilitiesSettingData")
    )
    repositories = storage.records["SR"].values()
    assert list(capabilities) == [f"Xen:{each['uuid']}/StorageAllocationCapabilities" for each in repositories]
    for sr in repositories:
        is_iso, size = sr["content_type"] == "iso", int(sr["physical_size"])
        found = capabilities[f"Xen:{sr['uuid']}/StorageAllocationCapabilities"]
        assert [found.get(each) for each in ("ResourceType", "RequestTypesSupported", "SharingMode")] == [
            16 if is_iso else 19,
            4,
            3 if is_iso else 2,
        ]
        assert found.get("SupportedAddStates") == found.get("SupportedRemoveStates") == [2, 3]
        expected = {"Minimum": 512 * MIB, "Maximum": size, "Increment": 512 * MIB, "Default": size}
        for role, quantity in expected.items():
            bound = bounds.pop(f"Xen:{sr['uuid']}/Storage{role}")
            assert view.instance(bound.name) is bound
            assert bound.get("VirtualQuantity") == (1 if is_iso else quantity)
            assert bound.get("AllocationUnits") == ("count" if is_iso else "byte")
            assert bound.get("PoolID") == sr["uuid"]
    assert not bounds


async def test_the_bounds_of_what_can_be_allocated_have_their_roles(provider, storage):
    view = provider.view()
    found = pairs(view, "Xen_StorageSettingsDefineCapabilities", "GroupComponent", "PartComponent")
    roles = {"Minimum": (3, 1), "Maximum": (3, 2), "Increment": (3, 3), "Default": (0, 0)}
    assert found == {
        (f"Xen:{sr['uuid']}/StorageAllocationCapabilities", f"Xen:{sr['uuid']}/Storage{role}")
        for sr in storage.records["SR"].values()
        for role in roles
    }
    for each in view.instances("Xen_StorageSettingsDefineCapabilities"):
        role = short(each.get("PartComponent")).rpartition("/Storage")[2]
        assert (each.get("PropertyPolicy"), each.get("ValueRole"), each.get("ValueRange")) == (0, *roles[role])


@pytest.mark.parametrize(("word", "kind"), [("Disk", "Disk"), ("DiskDrive", "CD")])
async def test_devices_belong_to_their_machine_image_and_pool(provider, storage, word, kind):
    view = provider.view()
    devices = storage.devices(kind)
    filled = [each for each in devices if storage.image(each) is not None]
    assert pairs(view, f"Xen_ComputerSystem{word}", "GroupComponent", "PartComponent") == {
        (storage.records["VM"][each["VM"]]["uuid"], storage.device_id(each)) for each in devices
    }
    assert pairs(view, f"Xen_Hosted{word}", "Antecedent", "Dependent") == {
        (storage.image_id(storage.image(each)), storage.device_id(each)) for each in filled
    }
    assert pairs(view, f"Xen_{word}AllocatedFromPool", "Antecedent", "Dependent") == {
        (storage.pool_of(each), storage.device_id(each)) for each in filled
    }
    same = {(storage.device_id(each), storage.device_id(each)) for each in devices}
    assert pairs(view, f"Xen_{word}SettingsDefineState", "ManagedElement", "SettingData") == same


async def test_the_settings_of_a_device_are_associated_with_their_machine_not_with_themselves(provider, storage):
    view = provider.view()
    ids = {storage.device_id(each) for each in storage.devices()}
    assert pairs(view, "Xen_DiskElementSettingData", "ManagedElement", "SettingData") == {
        (each.split("/")[0].removeprefix("Xen:"), each) for each in ids
    }
    for each in view.instances("Xen_DiskElementSettingData"):
        assert each.get("ManagedElement").class_name == "Xen_ComputerSystem"
        assert each.get("SettingData").class_name == "Xen_DiskSettingData"


async def test_settings_are_part_of_those_of_the_machine_and_served_by_their_pool(provider, storage):
    view = provider.view()
    ids = {storage.device_id(each) for each in storage.all_devices()}
    assert pairs(view, "Xen_DiskSettingDataComponent", "GroupComponent", "PartComponent") == {
        (each.split("/")[0], each) for each in ids
    }
    groups = {each.get("GroupComponent").class_name for each in view.instances("Xen_DiskSettingDataComponent")}
    assert groups == {"Xen_ComputerSystemSettingData", "Xen_ComputerSystemSnapshot"}
    assert pairs(view, "Xen_DiskSettingAllocationFromPool", "Antecedent", "Dependent") == {
        (storage.pool_of(each), storage.device_id(each))
        for each in storage.all_devices()
        if storage.image(each) is not None
    }


async def test_pools_have_their_images_hosts_and_capabilities(provider, storage):
    view = provider.view()
    repositories = storage.records["SR"].values()
    hosted = {(host, sr["uuid"]) for sr in repositories for host in storage.hosts(sr)}
    ids = {sr["uuid"]: storage.pool_id(sr) for sr in repositories}
    assert pairs(view, "Xen_StoragePoolComponent", "GroupComponent", "PartComponent") == {
        (storage.pool_id(storage.records["SR"][each["SR"]]), storage.image_id(each))
        for each in storage.records["VDI"].values()
    }
    assert pairs(view, "Xen_HostedStoragePool", "GroupComponent", "PartComponent") == {
        (host, ids[sr]) for host, sr in hosted
    }
    capabilities = "Xen:{}/StorageAllocationCapabilities".format
    assert pairs(view, "Xen_StoragePoolAllocationCapabilities", "ManagedElement", "Capabilities") == {
        (pool, capabilities(sr)) for sr, pool in ids.items()
    }
    assert pairs(view, "Xen_HostStorageAllocationCapabilities", "ManagedElement", "Capabilities") == {
        (host, capabilities(sr)) for host, sr in hosted
    }


async def test_images_on_a_hosts_own_storage_are_devices_of_the_host(provider, storage):
    found = pairs(provider.view(), "Xen_HostComputerSystemDiskImage", "GroupComponent", "PartComponent")
    expected = set()
    for vdi in storage.records["VDI"].values():
        sr = storage.records["SR"][vdi["SR"]]
        if not sr["shared"]:
            expected.add((*storage.hosts(sr), storage.image_id(vdi)))
    assert found == expected
    assert len({host for host, _ in found}) == 2


async def test_a_pool_is_managed_by_its_service_and_conforms_to_its_profile(provider, storage):
    view = provider.view()
    ids = {storage.pool_id(each) for each in storage.records["SR"].values()}
    (service,) = view.instances("Xen_StoragePoolManagementService")
    (profile,) = view.instances("Xen_RegisteredStorageVirtualizationProfile")
    association = "Xen_StoragePoolManagementServiceAffectsStoragePool"
    assert pairs(view, association, "AffectingElement", "AffectedElement") == {
        (short(service.name), each) for each in ids
    }
    association = "Xen_ResourcePoolConformsToStorageVirtualizationProfile"
    assert pairs(view, association, "ConformantStandard", "ManagedElement") == {
        (short(profile.name), each) for each in ids
    }
