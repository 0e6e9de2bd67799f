"""Virtual machines managed through CIM-XML, with what came of it asked of the Xen-API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pywbem
from pywbem import Uint16, Uint64

from tests.support.management import (
    COMPLETED,
    EXCEPTION,
    FAILED,
    HVM,
    INVALID_PARAMETER,
    INVALID_STATE,
    NAMESPACE,
    OK,
    configuration,
    resource,
    settings,
    system,
)


@pytest.fixture
def call(call_of) -> Callable[..., tuple[int, Any]]:
    return call_of("Xen_VirtualSystemManagementService")


class TestDefineSystem:
    """DefineSystem makes a machine from nothing or from another one, wholly or not at all."""

    def test_from_nothing(self, call, xenapi, wbem):
        more = {
            "Description": "for a test",
            "HVM_Boot_Params": ["order=nc"],
            "Other_Config": ["owner=me"],
            "AutomaticRecoveryAction": Uint16(2),
        }
        given = settings("Xen_ComputerSystemSettingData", **HVM, **more)
        value, outputs = call("DefineSystem", SystemSettings=given)
        assert value == OK
        made = wbem.GetInstance(outputs["ResultingSystem"])
        assert (made["ElementName"], made["EnabledState"]) == ("defined", 3)
        record = xenapi.VM.get_record(xenapi.VM.get_by_uuid(made["Name"]))
        assert record["name_description"] == "for a test"
        assert record["HVM_boot_params"] == {"order": "nc"}
        assert record["other_config"] == {"owner": "me"}
        assert record["actions_after_crash"] == "destroy"
        assert (record["VCPUs_max"], record["memory_static_max"]) == ("1", str(256 << 20))
        assert call("DestroySystem", AffectedSystem=made["Name"])[0] == OK

    def test_with_resources_and_as_mof_text(self, call, done, xenapi, storage, network):
        resources = [
            resource(33, PoolID=network[1], Address="00:16:3e:00:00:01").tomof(),
            resource(19, PoolID=storage[1], VirtualQuantity=Uint64(8 << 20), AllocationUnits="Bytes").tomof(),
            resource(16).tomof(),
            resource(3, VirtualQuantity=Uint64(3), Weight=pywbem.Uint32(99), AllocationUnits="count").tomof(),
            resource(4, VirtualQuantity=Uint64(1), AllocationUnits="GigaBytes").tomof(),
        ]
        given = 'instance of Xen_ComputerSystemSettingData {ElementName="defined"; VirtualSystemType="DMTF:xen:PV";};'
        answer = call("DefineSystem", SystemSettings=given, ResourceSettings=resources)
        uuid = answer[1]["ResultingSystem"]["Name"]
        job = done(answer)
        assert (job["JobState"], job["PercentComplete"], job.classname) == (
            COMPLETED,
            100,
            "Xen_VirtualSystemModifyResourcesJob",
        ), job["ErrorDescription"]
        assert len(job["AffectedResources"]) == 5
        record = xenapi.VM.get_record(xenapi.VM.get_by_uuid(uuid))
        assert (record["VCPUs_max"], record["VCPUs_at_startup"]) == ("3", "3")
        assert record["VCPUs_params"]["weight"] == "99"
        assert (record["memory_static_max"], record["memory_dynamic_min"]) == (str(1 << 30), str(1 << 30))
        assert record["PV_bootloader"] == "pygrub"
        assert not [key for key in record["other_config"] if key.startswith("xen-cim:")]
        (vif,) = map(xenapi.VIF.get_record, record["VIFs"])
        assert (vif["network"], vif["MAC"]) == (network[0], "00:16:3e:00:00:01")
        vbds = {each["type"]: each for each in map(xenapi.VBD.get_record, record["VBDs"])}
        assert set(vbds) == {"CD", "Disk"}
        assert vbds["CD"]["empty"]
        assert xenapi.VDI.get_virtual_size(vbds["Disk"]["VDI"]) == str(8 << 20)
        assert call("DestroySystem", AffectedSystem=system(uuid))[0] == OK
        assert vbds["Disk"]["VDI"] not in xenapi.VDI.get_all()

    def test_from_a_template(self, call, done, xenapi):
        template = next(
            each
            for each in xenapi.VM.get_all_records().values()
            if each["is_a_template"] and not each["is_a_snapshot"] and not each["is_control_domain"]
        )
        reference = configuration(template["uuid"], "Xen_ComputerSystemTemplate")
        given = settings(ElementName="from a template", Description="mine")
        answer = call(
            "DefineSystem", SystemSettings=given, ReferenceConfiguration=str(reference.keybindings["InstanceID"])
        )
        assert done(answer)["JobState"] == COMPLETED
        uuid = answer[1]["ResultingSystem"]["Name"]
        record = xenapi.VM.get_record(xenapi.VM.get_by_uuid(uuid))
        assert (record["name_label"], record["name_description"]) == ("from a template", "mine")
        assert not record["is_a_template"]
        assert call("DestroySystem", AffectedSystem=uuid)[0] == OK

    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"SystemSettings": settings(ElementName="x")},
            {"SystemSettings": settings(VirtualSystemType="DMTF:xen:HVM")},
            {"SystemSettings": settings(ElementName="x", VirtualSystemType="DMTF:qemu:KVM")},
            {"SystemSettings": "no MOF"},
            {"SystemSettings": settings(**HVM, AutomaticShutdownAction=Uint16(3))},
            {"SystemSettings": settings("Xen_ComputerSystemSettingData", **HVM, Other_Config=["no entry"])},
            {"SystemSettings": settings("Xen_ComputerSystemSettingData", **HVM, Other_Config=["xen-cim:job=x"])},
            {"SystemSettings": settings("Xen_ComputerSystemSettingData", **HVM, HostAffinity="nobody")},
            {"SystemSettings": settings(**HVM), "ReferenceConfiguration": configuration("nobody")},
            {"SystemSettings": settings(**HVM), "ResourceSettings": [resource(99)]},
            {"SystemSettings": settings(**HVM), "ResourceSettings": ["instance of X { };"]},
            {"SystemSettings": settings(**HVM), "ResourceSettings": [resource(3, VirtualQuantity=Uint64(0))]},
            {
                "SystemSettings": settings(**HVM),
                "ResourceSettings": [resource(4, VirtualQuantity=Uint64(1), AllocationUnits="KiloMeters")],
            },
            {"SystemSettings": settings(**HVM), "ResourceSettings": [resource(33, PoolID="x", Address="no MAC")]},
        ],
    )
    def test_what_is_wrong_is_refused_and_nothing_left(self, call, everything, parameters):
        before = everything()
        assert call("DefineSystem", **parameters) == (INVALID_PARAMETER, {})
        assert everything() == before

    @pytest.mark.parametrize(
        "last",
        [
            resource(19, HostResource=['root/cimv2:Xen_DiskImage.DeviceID="Xen:a/nobody"']),
            resource(19, PoolID="nobody", VirtualQuantity=Uint64(1 << 20), AllocationUnits="byte"),
            resource(19),
            resource(33, PoolID="nobody"),
            resource(33),
            resource(15, PoolID="any"),
            resource(3, VirtualQuantity=Uint64(2), Reservation=Uint64(5)),
            resource(4, VirtualQuantity=Uint64(64), Reservation=Uint64(128)),
        ],
    )
    def test_a_job_that_fails_leaves_nothing(self, call, done, everything, storage, network, last):
        before = everything()
        resources = [
            resource(19, PoolID=storage[1], VirtualQuantity=Uint64(8 << 20), AllocationUnits="Bytes"),
            resource(33, PoolID=network[1]),
            resource(24),
            last,
        ]
        job = done(call("DefineSystem", SystemSettings=settings(**HVM), ResourceSettings=resources))
        assert job["JobState"] == EXCEPTION
        assert job["ErrorDescription"]
        assert everything() == before


class TestCopySystem:
    """CopySystem copies a machine with its disks, or makes one from a template."""

    def test_a_machine(self, call, done, xenapi, halted_vm):
        uuid = xenapi.VM.get_uuid(halted_vm)
        given = settings(ElementName="a copy", Description="copied")
        job = done(call("CopySystem", SystemSettings=given, ReferenceConfiguration=configuration(uuid)))
        assert (job["JobState"], job.classname) == (COMPLETED, "Xen_VirtualSystemCreateJob"), job["ErrorDescription"]
        copied = pywbem.CIMInstanceName.from_wbem_uri("/" + job["ResultingSystem"])["Name"]
        record = xenapi.VM.get_record(xenapi.VM.get_by_uuid(copied))
        assert (record["name_label"], record["name_description"]) == ("a copy", "copied")
        original = xenapi.VM.get_record(halted_vm)
        assert len(record["VBDs"]) == len(original["VBDs"])
        assert call("DestroySystem", AffectedSystem=system(copied))[0] == OK

    def test_what_is_wrong(self, call, everything, xenapi, halted_vm):
        before = everything()
        reference = configuration(xenapi.VM.get_uuid(halted_vm))
        for wrong in (
            {"SystemSettings": settings(ElementName="x")},
            {"SystemSettings": settings(), "ReferenceConfiguration": reference},
            {"SystemSettings": settings(ElementName="x"), "ReferenceConfiguration": configuration("nobody")},
            {
                "SystemSettings": settings(ElementName="x"),
                "ReferenceConfiguration": reference,
                "StoragePool": "nowhere",
            },
        ):
            assert call("CopySystem", **wrong) == (INVALID_PARAMETER, {})
        assert everything() == before

    def test_a_copy_that_fails_leaves_nothing(self, call, done, everything, xenapi):
        running = next(
            each
            for each in xenapi.VM.get_all_records().values()
            if each["power_state"] == "Running" and not each["is_control_domain"]
        )
        before = everything()
        given = settings(ElementName="x")
        job = done(call("CopySystem", SystemSettings=given, ReferenceConfiguration=configuration(running["uuid"])))
        assert job["JobState"] == EXCEPTION
        assert everything() == before


class TestDestroySystem:
    """DestroySystem destroys machines that do not run, with what is theirs alone."""

    def test_a_machine_that_runs_stays(self, call, xenapi, vm):
        xenapi.VM.start(vm, False, False)
        assert call("DestroySystem", AffectedSystem=system(xenapi.VM.get_uuid(vm))) == (INVALID_STATE, {})
        assert xenapi.VM.get_power_state(vm) == "Running"

    def test_what_is_no_machine_stays(self, call, xenapi):
        template = next(each for each in xenapi.VM.get_all_records().values() if each["is_a_template"])
        for wrong in (None, "nobody", system("nobody"), template["uuid"]):
            assert call("DestroySystem", AffectedSystem=wrong) == (INVALID_PARAMETER, {})
        assert template["uuid"] in {each["uuid"] for each in xenapi.VM.get_all_records().values()}

    def test_a_disk_that_another_machine_has_stays(self, call, xenapi, vm, storage):
        disk = resource(19, PoolID=storage[1], VirtualQuantity=Uint64(8 << 20))
        value, _ = call("AddResourceSetting", AffectedSystem=system(xenapi.VM.get_uuid(vm)), ResourceSetting=disk)
        assert value == OK
        (vbd,) = xenapi.VM.get_VBDs(vm)
        image = xenapi.VDI.get_uuid(xenapi.VBD.get_VDI(vbd))
        xenapi.VDI.set_sharable(xenapi.VBD.get_VDI(vbd), True)
        _, outputs = call("DefineSystem", SystemSettings=settings(**HVM))
        other = outputs["ResultingSystem"]
        shared = resource(19, HostResource=[image])
        assert call("AddResourceSetting", AffectedSystem=other, ResourceSetting=shared)[0] == OK
        assert call("DestroySystem", AffectedSystem=other)[0] == OK
        assert xenapi.VDI.get_by_uuid(image)
        xenapi.VDI.set_sharable(xenapi.VBD.get_VDI(vbd), False)


class TestSettings:
    """ModifySystemSettings, ConvertToXenTemplate and FindPossibleHostsToRunOn."""

    def test_all_settings_that_are_given_change(self, call, xenapi, vm, wbem):
        uuid = xenapi.VM.get_uuid(vm)
        host = next(iter(xenapi.host.get_all_records().values()))
        xenapi.VM.add_to_other_config(vm, "kept", "yes")
        given = settings(
            "Xen_ComputerSystemSettingData",
            InstanceID=f"Xen:{uuid}",
            ElementName="renamed",
            HVM_ShadowMultiplier=pywbem.Real64(2.5),
            HVM_Boot_Policy="",
            Platform=["acpi=1"],
            Other_Config=["new=1"],
            HostAffinity=host["uuid"],
            AutomaticStartupAction=Uint16(2),
        )
        assert call("ModifySystemSettings", SystemSettings=given)[0] == OK
        record = xenapi.VM.get_record(vm)
        assert (record["name_label"], record["HVM_shadow_multiplier"]) == ("renamed", 2.5)
        assert (record["HVM_boot_policy"], record["platform"]) == ("", {"acpi": "1"})
        assert record["other_config"] == {"kept": "yes", "new": "1"}
        assert xenapi.host.get_uuid(record["affinity"]) == host["uuid"]
        assert record["actions_after_reboot"] == "destroy"
        assert wbem.GetInstance(configuration(uuid))["ElementName"] == "renamed"

    def test_if_one_cannot_be_changed_none_is(self, call, xenapi, vm):
        given = settings(
            "Xen_ComputerSystemSettingData",
            InstanceID=f"Xen:{xenapi.VM.get_uuid(vm)}",
            ElementName="renamed",
            HVM_ShadowMultiplier=pywbem.Real64(0.1),
        )
        assert call("ModifySystemSettings", SystemSettings=given) == (FAILED, {})
        assert xenapi.VM.get_name_label(vm) == "defined"

    def test_what_is_wrong(self, call):
        for wrong in (None, settings(ElementName="x"), settings(InstanceID="Xen:nobody")):
            assert call("ModifySystemSettings", SystemSettings=wrong) == (INVALID_PARAMETER, {})

    def test_a_machine_becomes_a_template(self, call, xenapi):
        _, outputs = call("DefineSystem", SystemSettings=settings(**HVM))
        name = outputs["ResultingSystem"]
        ref = xenapi.VM.get_by_uuid(name["Name"])
        value, outputs = call("ConvertToXenTemplate", System=name)
        assert (value, outputs["ResultingTemplate"]["InstanceID"]) == (OK, f"Xen:{name['Name']}")
        assert xenapi.VM.get_is_a_template(ref)
        assert call("ConvertToXenTemplate", System=name["Name"]) == (INVALID_PARAMETER, {})
        xenapi.VM.destroy(ref)

    def test_a_machine_that_runs_becomes_no_template(self, call, xenapi, vm):
        xenapi.VM.start(vm, False, False)
        assert call("ConvertToXenTemplate", System=system(xenapi.VM.get_uuid(vm))) == (INVALID_STATE, {})

    @pytest.mark.parametrize("name", ["System", "AffectedSystem"])
    def test_hosts_that_could_run_it(self, call, xenapi, vm, name):
        hosts = {each["uuid"] for each in xenapi.host.get_all_records().values() if each["enabled"]}
        value, outputs = call("FindPossibleHostsToRunOn", **{name: system(xenapi.VM.get_uuid(vm))})
        assert (value, {each["Name"] for each in outputs["PossibleHosts"]}) == (OK, hosts)
        assert call("FindPossibleHostsToRunOn", **{name: "nobody"}) == (INVALID_PARAMETER, {})


class TestResources:
    """Resources are added, changed and removed, cold and hot."""

    @pytest.fixture
    def running(self, xenapi, vm) -> str:
        xenapi.VM.set_VCPUs_max(vm, "4")
        xenapi.VM.start(vm, False, False)
        return vm

    @pytest.fixture
    def add(self, call, xenapi, vm, wbem) -> Callable[[pywbem.CIMInstance], str]:
        """Give the machine a resource; return its InstanceID."""

        def add(settings: pywbem.CIMInstance) -> str:
            value, outputs = call(
                "AddResourceSetting", AffectedSystem=system(xenapi.VM.get_uuid(vm)), ResourceSetting=settings
            )
            assert value == OK
            made = wbem.GetInstance(outputs["ResultingResourceSetting"])
            assert made["ResourceType"] in (settings["ResourceType"], 19, 16, 33)
            return made["InstanceID"]

        return add

    @pytest.fixture
    def modify(self, call) -> Callable[..., int]:
        def modify(instance_id: str, type_: int, **properties: Any) -> int:
            given = resource(type_, InstanceID=instance_id, **properties)
            return call("ModifyResourceSettings", ResourceSettings=[given])[0]

        return modify

    def test_processors_cold(self, call, xenapi, vm, add, modify):
        name = add(resource(3, VirtualQuantity=Uint64(3), Limit=Uint64(50)))
        assert name == f"Xen:{xenapi.VM.get_uuid(vm)}/Processor"
        record = xenapi.VM.get_record(vm)
        assert (record["VCPUs_max"], record["VCPUs_at_startup"]) == ("4", "4")
        assert record["VCPUs_params"]["cap"] == "50"
        assert modify(name, 3, VirtualQuantity=Uint64(2), Reservation=Uint64(1)) == OK
        record = xenapi.VM.get_record(vm)
        assert (record["VCPUs_max"], record["VCPUs_at_startup"]) == ("2", "1")
        less = resource(3, InstanceID=name, VirtualQuantity=Uint64(1)).tomof()
        assert call("RemoveResourceSettings", ResourceSettings=[less])[0] == OK
        assert xenapi.VM.get_VCPUs_max(vm) == "1"
        assert call("RemoveResourceSettings", ResourceSettings=[less])[0] == INVALID_PARAMETER

    def test_processors_hot(self, xenapi, running, modify):
        name = f"Xen:{xenapi.VM.get_uuid(running)}/Processor"
        assert modify(name, 3, VirtualQuantity=Uint64(3)) == OK
        metrics = xenapi.VM.get_metrics(running)
        assert xenapi.VM_metrics.get_VCPUs_number(metrics) == "3"
        assert modify(name, 3, VirtualQuantity=Uint64(9)) == FAILED
        assert xenapi.VM_metrics.get_VCPUs_number(metrics) == "3"

    def test_memory(self, call, xenapi, vm, add, modify):
        name = add(resource(4, VirtualQuantity=Uint64(256), AllocationUnits="byte*2^20"))
        assert xenapi.VM.get_memory_static_max(vm) == str(512 << 20)
        limits = {"Reservation": Uint64(128), "Limit": Uint64(300), "AllocationUnits": "MB"}
        assert modify(name, 4, VirtualQuantity=Uint64(400), **limits) == OK
        record = xenapi.VM.get_record(vm)
        assert [record[f"memory_{each}"] for each in ("dynamic_min", "dynamic_max", "static_max")] == [
            str(each << 20) for each in (128, 300, 400)
        ]
        xenapi.VM.start(vm, False, False)
        assert modify(name, 4, Limit=Uint64(256), Reservation=Uint64(200), AllocationUnits="MB") == OK
        assert xenapi.VM.get_memory_dynamic_max(vm) == str(256 << 20)
        assert modify(name, 4, VirtualQuantity=Uint64(800), AllocationUnits="MB") == INVALID_STATE

    def test_disks_hot(self, call, xenapi, running, add, modify, storage):
        name = add(resource(19, PoolID=storage[1], VirtualQuantity=Uint64(8 << 20), ElementName="data"))
        (vbd,) = xenapi.VM.get_VBDs(running)
        assert xenapi.VBD.get_currently_attached(vbd)
        assert name.endswith("/" + xenapi.VBD.get_uuid(vbd))
        vdi = xenapi.VBD.get_VDI(vbd)
        assert modify(name, 19, ElementName="more data", Description="x") == OK
        assert xenapi.VDI.get_name_label(vdi) == "more data"
        assert modify(name, 19, VirtualQuantity=Uint64(1)) == INVALID_PARAMETER
        path = pywbem.CIMInstanceName("Xen_DiskSettingData", {"InstanceID": name}, namespace=NAMESPACE)
        assert call("RemoveResourceSettings", ResourceSettings=[path.to_wbem_uri("historical")])[0] == OK
        assert xenapi.VM.get_VBDs(running) == []
        assert xenapi.VDI.get_uuid(vdi)  # the image stays
        xenapi.VDI.destroy(vdi)

    def test_disks_cold(self, xenapi, vm, add, modify, storage):
        name = add(resource(17, VirtualQuantity=Uint64(8 << 20)))
        (vbd,) = xenapi.VM.get_VBDs(vm)
        assert modify(name, 17, VirtualQuantity=Uint64(16 << 20), AddressOnParent="5") == OK
        assert xenapi.VDI.get_virtual_size(xenapi.VBD.get_VDI(vbd)) == str(16 << 20)
        assert xenapi.VBD.get_userdevice(vbd) == "5"

    def test_cds(self, xenapi, vm, add, modify):
        images = [
            each["uuid"]
            for each in xenapi.VDI.get_all_records().values()
            if xenapi.SR.get_content_type(each["SR"]) == "iso"
        ]
        name = add(resource(16, HostResource=[f'root/cimv2:Xen_DiskImage.DeviceID="Xen:x/{images[0]}"']))
        (vbd,) = xenapi.VM.get_VBDs(vm)
        assert xenapi.VDI.get_uuid(xenapi.VBD.get_VDI(vbd)) == images[0]
        xenapi.VM.start(vm, False, False)
        assert modify(name, 16, HostResource=["nobody"]) == INVALID_PARAMETER
        assert not xenapi.VBD.get_empty(vbd)
        assert modify(name, 16, HostResource=[""]) == OK
        assert xenapi.VBD.get_empty(vbd)
        assert modify(name, 16, HostResource=[images[-1]]) == OK
        assert xenapi.VDI.get_uuid(xenapi.VBD.get_VDI(vbd)) == images[-1]

    def test_network_ports_hot(self, call, xenapi, running, add, modify, network):
        name = add(resource(10, PoolID=network[1]))
        (vif,) = xenapi.VM.get_VIFs(running)
        assert xenapi.VIF.get_currently_attached(vif)
        other = next(each for each in xenapi.network.get_all() if each != network[0])
        assert modify(name, 10, PoolID=xenapi.network.get_uuid(other)) == OK
        assert xenapi.VIF.get_network(vif) == other
        assert modify(name, 10, Address="00:16:3e:11:11:11") == INVALID_PARAMETER
        assert call("RemoveResourceSettings", ResourceSettings=[name])[0] == OK
        assert xenapi.VM.get_VIFs(running) == []

    def test_several_as_a_job(self, call, done, xenapi, vm, network):
        uuid = xenapi.VM.get_uuid(vm)
        resources = [resource(33, PoolID=network[1]), resource(24)]
        job = done(call("AddResourceSettings", AffectedConfiguration=configuration(uuid), ResourceSettings=resources))
        assert job["JobState"] == COMPLETED
        assert len(job["AffectedResources"]) == 2
        assert len(xenapi.VM.get_VIFs(vm)) == 1

    def test_several_or_none(self, call, done, xenapi, vm, network, everything):
        before = everything()
        resources = [resource(33, PoolID=network[1]), resource(33, PoolID="nobody")]
        uuid = xenapi.VM.get_uuid(vm)
        job = done(call("AddResourceSettings", AffectedConfiguration=configuration(uuid), ResourceSettings=resources))
        assert job["JobState"] == EXCEPTION
        assert everything() == before

    def test_key_value_pairs(self, call, xenapi, vm):
        uuid = xenapi.VM.get_uuid(vm)
        pair = 'instance of Xen_KVPSettingData { Key = "greeting"; Value = "hello"; };'
        value, outputs = call("AddResourceSettings", AffectedConfiguration=uuid, ResourceSettings=pair)
        assert (value, outputs["ResultingResourceSettings"][0]["InstanceID"]) == (OK, f"Xen:{uuid}/greeting")
        assert xenapi.VM.get_xenstore_data(vm)["vm-data/greeting"] == "hello"
        again = (
            f'instance of Xen_KVPSettingData {{ InstanceID = "Xen:{uuid}/greeting"; Key = "greeting"; Value = "x"; }};'
        )
        assert call("ModifyResourceSettings", ResourceSettings=again)[0] == OK
        assert xenapi.VM.get_xenstore_data(vm)["vm-data/greeting"] == "x"
        assert call("RemoveResourceSettings", ResourceSettings=again)[0] == OK
        assert "vm-data/greeting" not in xenapi.VM.get_xenstore_data(vm)

    def test_key_value_pairs_are_seen_once_set_up(self, xenapi, vm, wbem):
        xenapi.VM.set_xenstore_data(vm, {"vm-data/colour": "red"})
        uuid = xenapi.VM.get_uuid(vm)
        assert wbem.AssociatorNames(system(uuid), ResultClass="Xen_KVP") == []
        assert wbem.InvokeMethod("SetupKVPCommunication", system(uuid)) == (OK, {})
        (pair,) = wbem.Associators(system(uuid), ResultClass="Xen_KVP")
        assert (pair["Key"], pair["Value"]) == ("colour", "red")

    @pytest.mark.parametrize("method", ["ModifyResourceSettings", "RemoveResourceSettings"])
    def test_what_is_no_resource(self, call, xenapi, vm, method):
        uuid = xenapi.VM.get_uuid(vm)
        for instance_id in ("x", "Xen:nobody/Processor", f"Xen:{uuid}/nothing", f"Xen:{uuid}/{uuid}"):
            given = f'instance of Xen_DiskSettingData {{ InstanceID = "{instance_id}"; ResourceType = 19; }};'
            assert call(method, ResourceSettings=[given]) == (INVALID_PARAMETER, {})
        assert call(method) == (INVALID_PARAMETER, {})


def test_the_service_lets_its_host_take_machines_or_not(call, xenapi):
    master = xenapi.pool.get_master(xenapi.pool.get_all()[0])
    assert call("StopService")[0] == OK
    assert not xenapi.host.get_enabled(master)
    assert call("StartService")[0] == OK
    assert xenapi.host.get_enabled(master)
