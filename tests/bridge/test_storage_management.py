"""Storage pools and disk images managed through CIM-XML, with what came of it asked of the Xen-API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree
from pywbem import Uint32, Uint64

from tests.support.management import OK, named, resource, settings

FAILED, INVALID_PARAMETER = 4, 5


@pytest.fixture
def call(call_of) -> Callable[..., tuple[int, Any]]:
    return call_of("Xen_StoragePoolManagementService")


NFS = {"ResourceSubType": "nfs", "Connection": ["server=192.0.2.1", "serverpath=/export"], "Description": "shared"}


def rasd(**properties: Any) -> Any:
    return settings("CIM_ResourceAllocationSettingData", **properties)


@pytest.mark.parametrize("method", ["DeleteResourcePool", "DetachStoragePool"])
@pytest.mark.parametrize(("type_", "content"), [(15, "iso"), (19, "user")])
def test_a_storage_pool_comes_and_goes(call, xenapi, wbem, everything, method, type_, content):
    before = everything()
    value, outputs = call("CreateStoragePool", ElementName="new", Settings=rasd(**NFS), ResourceType=Uint32(type_))
    assert (value, outputs["Pool"].classname) == (OK, "Xen_StoragePool")
    place, uuid = outputs["Pool"]["InstanceID"].removeprefix("Xen:").split("/")
    record = xenapi.SR.get_record(xenapi.SR.get_by_uuid(uuid))
    assert place == "Shared"
    assert wbem.GetInstance(outputs["Pool"])["ResourceSubType"] == "nfs"
    assert (record["name_label"], record["name_description"], record["type"]) == ("new", "shared", "nfs")
    assert (record["content_type"], record["shared"]) == (content, True)
    assert not [key for key in record["other_config"] if key.startswith("xen-cim:")]
    pbd = xenapi.PBD.get_record(record["PBDs"][0])
    assert pbd["device_config"] == {"server": "192.0.2.1", "serverpath": "/export"}
    assert call(method, Pool=outputs["Pool"]) == (OK, {})
    assert everything() == before
    assert call(method, Pool=outputs["Pool"]) == (INVALID_PARAMETER, {})


def test_local_storage_is_that_of_the_master(call, xenapi):
    value, outputs = call(
        "CreateStoragePool", ElementName="disk", Settings=rasd(ResourceSubType="ext", Connection=["device=/dev/sdz"])
    )
    assert value == OK
    place, uuid = outputs["Pool"]["InstanceID"].removeprefix("Xen:").split("/")
    master = xenapi.pool.get_master(xenapi.pool.get_all()[0])
    assert place == xenapi.host.get_uuid(master)
    assert not xenapi.SR.get_shared(xenapi.SR.get_by_uuid(uuid))
    assert call("DeleteResourcePool", Pool=uuid) == (OK, {})


def test_a_storage_pool_in_use_stays_attached(call, xenapi, everything):
    sr, record = next(
        (ref, each)
        for ref, each in xenapi.SR.get_all_records().items()
        if any(xenapi.VBD.get_currently_attached(vbd) for vdi in each["VDIs"] for vbd in xenapi.VDI.get_VBDs(vdi))
    )
    before = everything()
    for method in ("DeleteResourcePool", "DetachStoragePool"):
        assert call(method, Pool=record["uuid"])[0] == FAILED
        assert all(xenapi.PBD.get_currently_attached(pbd) for pbd in xenapi.SR.get_PBDs(sr))
    assert everything() == before


def test_a_target_is_asked_what_it_has(call):
    value, outputs = call("DiscoveriSCSITargetInfo", TargetHost="192.0.2.7")
    assert value == OK
    (iqn,) = etree.fromstring(outputs["TargetInfo"]).iter("TargetIQN")
    value, outputs = call("DiscoveriSCSITargetInfo", TargetHost="192.0.2.7", Port="3260", TargetIQN=iqn.text)
    assert value == OK
    (unit,) = etree.fromstring(outputs["TargetInfo"]).iter("SCSIid")
    assert unit.text
    assert call("DiscoveriSCSITargetInfo", TargetHost="nowhere.invalid", TargetIQN="x") == (FAILED, {})


def test_a_disk_image_comes_and_goes(call, xenapi, wbem, storage):
    given = resource(
        19, PoolID=storage[1], VirtualQuantity=Uint64(8), AllocationUnits="byte*2^20", ElementName="an image"
    )
    value, outputs = call("CreateDiskImage", ResourceSetting=given)
    image = outputs["ResultingDiskImage"]
    assert (value, image.classname, image["SystemName"]) == (OK, "Xen_DiskImage", storage[1])
    assert wbem.GetInstance(image)["ElementName"] == "an image"
    record = xenapi.VDI.get_record(xenapi.VDI.get_by_uuid(image["DeviceID"].rpartition("/")[2]))
    assert (record["name_label"], record["virtual_size"], record["SR"]) == ("an image", str(8 << 20), storage[0])
    assert call("DeleteDiskImage", DiskImage=image) == (OK, {})
    assert call("DeleteDiskImage", DiskImage=image) == (INVALID_PARAMETER, {})


def test_a_disk_image_in_use_stays(call, xenapi):
    vdi = next(
        ref
        for ref, each in xenapi.VDI.get_all_records().items()
        if any(xenapi.VBD.get_currently_attached(vbd) for vbd in each["VBDs"])
    )
    assert call("DeleteDiskImage", DiskImage=xenapi.VDI.get_uuid(vdi))[0] == FAILED
    assert xenapi.VDI.get_uuid(vdi)


def test_what_is_wrong_is_refused_and_nothing_left(call, everything, storage):
    before = everything()
    for method, wrong in [
        ("CreateStoragePool", {}),
        ("CreateStoragePool", {"ElementName": "x"}),
        ("CreateStoragePool", {"ElementName": "x", "Settings": rasd()}),
        ("CreateStoragePool", {"Settings": rasd(**NFS)}),
        ("CreateStoragePool", {"ElementName": "x", "Settings": rasd(**NFS), "ResourceType": Uint32(3)}),
        ("CreateStoragePool", {"ElementName": "x", "Settings": rasd(ResourceSubType="nfs", Connection=["server"])}),
        ("DeleteResourcePool", {}),
        ("DeleteResourcePool", {"Pool": named("Xen_StoragePool", InstanceID="Xen:Shared/nobody")}),
        ("DetachStoragePool", {"Pool": "nobody"}),
        ("DiscoveriSCSITargetInfo", {}),
        ("CreateDiskImage", {}),
        ("CreateDiskImage", {"ResourceSetting": resource(19, PoolID=storage[1])}),
        ("CreateDiskImage", {"ResourceSetting": resource(19, PoolID="nobody", VirtualQuantity=Uint64(1 << 20))}),
        ("CreateDiskImage", {"ResourceSetting": resource(16)}),
        ("DeleteDiskImage", {"DiskImage": ""}),
    ]:
        assert call(method, **wrong) == (INVALID_PARAMETER, {}), (method, wrong)
    assert everything() == before


def test_what_the_back_end_refuses_fails(call, everything):
    before = everything()
    wrong = rasd(ResourceSubType="no such kind", Connection=["a=b"])
    assert call("CreateStoragePool", ElementName="x", Settings=wrong) == (FAILED, {})
    assert everything() == before
