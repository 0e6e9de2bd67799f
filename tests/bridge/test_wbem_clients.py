"""WBEM clients that nobody here wrote, against the running bridge."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import pywbem

JOB_COMPLETED = 7
JOB_EXCEPTION = 10


def vm_name(xenapi, ref: str) -> pywbem.CIMInstanceName:
    keys = {"CreationClassName": "Xen_ComputerSystem", "Name": xenapi.VM.get_uuid(ref)}
    return pywbem.CIMInstanceName("Xen_ComputerSystem", keys, namespace="root/cimv2")


@pytest.fixture
def name(xenapi, halted_vm) -> pywbem.CIMInstanceName:
    return vm_name(xenapi, halted_vm)


@pytest.mark.parametrize("door", ["cim-http", "cim-https"])
@pytest.mark.parametrize("pull", [False, True])
class TestPywbem:
    """pywbem over HTTP and HTTPS, with pull operations and without."""

    @pytest.fixture
    def wbem(self, bridge, door, pull):
        with bridge.wbem(door, use_pull_operations=pull) as connection:
            yield connection

    def test_systems_are_the_vms_that_are_no_templates(self, wbem, xenapi):
        expected = {
            record["uuid"]: record["name_label"]
            for record in xenapi.VM.get_all_records().values()
            if not record["is_a_template"] and not record["is_a_snapshot"]
        }
        found = {each["Name"]: each["ElementName"] for each in wbem.IterEnumerateInstances("Xen_ComputerSystem")}
        assert found == expected
        assert {path["Name"] for path in wbem.IterEnumerateInstancePaths("Xen_ComputerSystem")} == set(expected)

    def test_hosts(self, wbem, xenapi):
        expected = {record["uuid"]: record["name_label"] for record in xenapi.host.get_all_records().values()}
        found = wbem.IterEnumerateInstances("Xen_HostComputerSystem")
        assert {each["Name"]: each["ElementName"] for each in found} == expected

    def test_a_superclass_gives_all(self, wbem):
        systems = list(wbem.IterEnumerateInstances("CIM_ComputerSystem"))
        assert {each.classname for each in systems} >= {"Xen_ComputerSystem", "Xen_HostComputerSystem"}
        assert all(each.path.classname == each.classname for each in systems)

    @pytest.mark.parametrize("namespace", ["root/cimv2", "root/interop"])
    def test_all_that_there_is_can_be_read(self, wbem, namespace):
        """Instances of all classes; `wbem` holds the answers against the DTD."""
        found = [
            instance
            for class_name in wbem.EnumerateClassNames(namespace)
            for instance in wbem.IterEnumerateInstances(class_name, namespace, MaxObjectCount=50)
        ]
        assert len({str(each.path) for each in found}) == len(found) > 10

    def test_every_name_can_be_read(self, wbem):
        for class_name in ["Xen_ComputerSystem", "Xen_HostComputerSystem", "Xen_ComputerSystemSettingData"]:
            for instance in wbem.IterEnumerateInstances(class_name):
                read = wbem.GetInstance(instance.path)
                assert (read.classname, read.properties) == (instance.classname, instance.properties)

    def test_host_to_vm(self, wbem, xenapi):
        expected = {
            host["uuid"]: {xenapi.VM.get_uuid(vm) for vm in host["resident_VMs"]}
            for host in xenapi.host.get_all_records().values()
        }
        assert all(expected.values())
        for uuid, guests in expected.items():
            keys = {"CreationClassName": "Xen_HostComputerSystem", "Name": uuid}
            path = pywbem.CIMInstanceName("Xen_HostComputerSystem", keys, namespace="root/cimv2")
            options = {"AssocClass": "Xen_HostedComputerSystem", "ResultClass": "Xen_ComputerSystem"}
            far = wbem.IterAssociatorInstances(path, Role="Antecedent", ResultRole="Dependent", **options)
            assert {each["Name"] for each in far} == guests
            links = list(wbem.IterReferenceInstances(path, ResultClass="CIM_HostedDependency"))
            dependents = [link["Dependent"] for link in links]  # services and pools are hosted too
            assert {each["Name"] for each in dependents if each.classname == "Xen_ComputerSystem"} == guests

    def test_vm_to_settings_and_back(self, wbem, name):
        for association in ["Xen_ComputerSystemSettingsDefineState", "CIM_SettingsDefineState"]:
            (settings,) = wbem.IterAssociatorInstances(name, AssocClass=association)
            assert settings["InstanceID"] == f"Xen:{name['Name']}"
            assert settings["VirtualSystemIdentifier"] == name["Name"]
            (back,) = wbem.IterAssociatorInstancePaths(settings.path, AssocClass=association)
            assert back["Name"] == name["Name"]


def finished(wbem, job: pywbem.CIMInstanceName, until) -> pywbem.CIMInstance:
    return until(lambda: (each := wbem.GetInstance(job))["JobState"] > 4 and each, "the job ends")


def test_start_over_pywbem(bridge, name, until):
    with bridge.wbem() as wbem:
        assert wbem.GetInstance(name)["EnabledState"] == 3
        value, outputs = wbem.InvokeMethod("RequestStateChange", name, RequestedState=pywbem.Uint16(2))
        assert value == 4096
        first = wbem.GetInstance(outputs["Job"])
        assert first.classname == "Xen_SystemStateChangeJob"
        assert first["JobState"] in (4, JOB_COMPLETED), "a job is never seen as New"
        job = finished(wbem, outputs["Job"], until)
        assert (job["JobState"], job["PercentComplete"], job["ErrorCode"]) == (JOB_COMPLETED, 100, 0)
        assert wbem.GetInstance(name)["EnabledState"] == 2


def test_a_start_of_a_running_system_is_a_failed_job(bridge, name, xenapi, halted_vm, until):
    xenapi.VM.start(halted_vm, False)
    with bridge.wbem() as wbem:
        value, outputs = wbem.InvokeMethod("RequestStateChange", name, RequestedState=pywbem.Uint16(2))
        assert value == 4096
        job = finished(wbem, outputs["Job"], until)
        assert (job["JobState"], job["ErrorCode"]) == (JOB_EXCEPTION, 4097)
        assert "VM_BAD_POWER_STATE" in job["ErrorDescription"]


class TestPywbemcli:
    """pywbemcli, as its own process."""

    @pytest.fixture
    def run(self, bridge, tmp_path):
        def run(*arguments: str, door: str = "cim-http") -> str:
            options = ["--ca-certs", bridge.certificate] if door == "cim-https" else []
            answer = subprocess.run(
                [
                    str(Path(sys.executable).with_name("pywbemcli")),
                    *("--server", bridge.url(door), "--user", bridge.user, "--password", bridge.password),
                    *("--default-namespace", "root/cimv2", *options, *arguments),
                ],
                capture_output=True,
                text=True,
                timeout=60,
                env=os.environ | {"HOME": str(tmp_path), "PYWBEMTOOLS_TERMWIDTH": "240"},
            )
            assert answer.returncode == 0, answer.stdout + answer.stderr
            return answer.stdout

        return run

    @pytest.mark.parametrize("door", ["cim-http", "cim-https"])
    def test_enumerate(self, run, name, door):
        assert name["Name"] in run("instance", "enumerate", "Xen_ComputerSystem", "--no", door=door)

    def test_get(self, run, name):
        printed = run(
            "instance", "get", f'Xen_ComputerSystem.CreationClassName="{name.classname}",Name="{name["Name"]}"'
        )
        assert re.search(r"EnabledState = 3;", printed)

    def test_associators(self, run, name):
        path = f'Xen_ComputerSystem.CreationClassName="{name.classname}",Name="{name["Name"]}"'
        printed = run("instance", "associators", path, "--rc", "Xen_ComputerSystemSettingData")
        assert f'InstanceID = "Xen:{name["Name"]}";' in printed

    def test_start(self, run, name, until):
        path = f'Xen_ComputerSystem.CreationClassName="{name.classname}",Name="{name["Name"]}"'
        printed = run("instance", "invokemethod", path, "RequestStateChange", "-p", "RequestedState=2")
        assert "ReturnValue=4096" in printed
        job = re.search(r'Xen_SystemStateChangeJob\.InstanceID=\\?"(Xen:[0-9a-f-]+)', printed)
        assert job, printed
        until(
            lambda: "JobState = 7;" in run("instance", "get", f'Xen_SystemStateChangeJob.InstanceID="{job[1]}"'),
            "JobState 7",
        )
        assert "EnabledState = 2;" in run("instance", "get", path)

    def test_classes(self, run):
        assert "class Xen_ComputerSystem : CIM_ComputerSystem" in run("class", "get", "Xen_ComputerSystem")
        assert "Xen_HostComputerSystem" in run("class", "enumerate", "CIM_ComputerSystem", "--di", "--no")

    def test_namespaces(self, run):
        printed = run("namespace", "list")
        assert "root/cimv2" in printed
        assert "root/interop" in printed


class TestWbemcli:
    """sblim's wbemcli, a client in C with a dialect of its own."""

    @pytest.fixture
    def run(self, bridge):
        wbemcli = shutil.which("wbemcli")
        if wbemcli is None:
            pytest.skip("wbemcli is not installed (Debian: sblim-wbemcli)")

        def run(
            operation: str, path: str, *arguments: str, door: str = "cim-http", options: tuple[str, ...] = ()
        ) -> str:
            url = urlsplit(bridge.url(door))
            if door == "cim-https":
                options = ("-cacert", bridge.certificate, *options)
            target = f"{url.scheme}://{bridge.user}:{quote(bridge.password)}@{url.netloc}/root/cimv2:{path}"
            answer = subprocess.run(
                [wbemcli, operation, "-nl", *options, target, *arguments], capture_output=True, text=True, timeout=60
            )
            assert answer.returncode == 0, answer.stdout + answer.stderr
            return answer.stdout

        return run

    @pytest.fixture
    def path(self, name) -> str:
        return f'Xen_ComputerSystem.CreationClassName="Xen_ComputerSystem",Name="{name["Name"]}"'

    @pytest.mark.parametrize("door", ["cim-http", "cim-https"])
    def test_enumerate(self, run, name, door):
        assert name["Name"] in run("ein", "Xen_ComputerSystem", door=door)
        assert name["Name"] in run("ei", "Xen_ComputerSystem", door=door)

    def test_get(self, run, path):
        assert re.search(r"^-EnabledState=3$", run("gi", path), re.MULTILINE)

    def test_associators(self, run, path, name):
        printed = run("ain", path, options=("-ac", "Xen_ComputerSystemSettingsDefineState"))
        assert f'Xen_ComputerSystemSettingData.InstanceID="Xen:{name["Name"]}"' in printed

    def test_start(self, run, path, until):
        printed = run("cm", path, "RequestStateChange.RequestedState=2")
        assert "4096" in printed
        job = re.search(r"Xen:[0-9a-f-]+", printed)
        assert job, printed
        until(lambda: "-JobState=7" in run("gi", f'Xen_SystemStateChangeJob.InstanceID="{job[0]}"'), "JobState 7")
        assert "-EnabledState=2" in run("gi", path)


class TestBadInput:
    """Each mistake gets the protocol's own error, and the server goes on."""

    def status(self, call, *arguments, **options) -> int:
        with pytest.raises(pywbem.CIMError) as refused:
            call(*arguments, **options)
        assert refused.value.status_description
        return refused.value.status_code

    def test_unknown_class(self, bridge):
        with bridge.wbem() as wbem:
            assert self.status(wbem.EnumerateInstances, "Xen_Carpet") == pywbem.CIM_ERR_INVALID_CLASS

    def test_unknown_namespace(self, bridge):
        with bridge.wbem() as wbem:
            code = self.status(wbem.EnumerateInstances, "Xen_ComputerSystem", namespace="root/carpet")
            assert code == pywbem.CIM_ERR_INVALID_NAMESPACE

    def test_unknown_instance(self, bridge, name):
        name["Name"] = "00000000-dead-beef-0000-000000000000"
        with bridge.wbem() as wbem:
            assert self.status(wbem.GetInstance, name) == pywbem.CIM_ERR_NOT_FOUND

    def test_unknown_method(self, bridge, name):
        with bridge.wbem() as wbem:
            assert self.status(wbem.InvokeMethod, "Levitate", name) == pywbem.CIM_ERR_METHOD_NOT_FOUND

    def test_parameter_that_the_method_does_not_have(self, bridge, name):
        with bridge.wbem() as wbem:
            code = self.status(wbem.InvokeMethod, "RequestStateChange", name, RequestedSate=pywbem.Uint16(2))
            assert code == pywbem.CIM_ERR_INVALID_PARAMETER

    def test_wrong_password(self, bridge):
        with bridge.wbem(password="wrong") as wbem, pytest.raises(pywbem.AuthError):
            wbem.EnumerateInstances("Xen_ComputerSystem")

    def test_malformed_xml(self, bridge):
        connection = http.client.HTTPConnection(urlsplit(bridge.url("cim-http")).netloc, timeout=10)
        headers = {
            "Content-Type": "application/xml; charset=utf-8",
            "CIMOperation": "MethodCall",
            "CIMMethod": "EnumerateInstances",
            "CIMObject": "root/cimv2",
            "Authorization": "Basic " + base64.b64encode(f"{bridge.user}:{bridge.password}".encode()).decode(),
        }
        connection.request("POST", "/cimom", b"<?xml version='1.0'?><CIM CIMVERSION='2.0'", headers)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("CIMError")) == (400, "request-not-well-formed")
        answer.read()
        with bridge.wbem() as wbem:
            assert wbem.EnumerateInstanceNames("Xen_HostComputerSystem")


def test_endpoints_are_written_for_programs_alone(bridge):
    file = bridge.state / "endpoints.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert bridge.password not in json.dumps(bridge.endpoints)
