"""The Xen-API from Java, Perl and the Python of OpenStack, and from Ansible, against the running bridge."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from foreign_clients import CLIENTS, ansible, program, run

AXMLRPC = Path("/usr/share/java/axmlrpc.jar")


def java(folder: Path) -> list[str]:
    compiler, machine = program("javac", "default-jdk-headless"), program("java", "default-jre-headless")
    if not AXMLRPC.is_file():
        pytest.skip(f"there is no {AXMLRPC} (Debian: libaxmlrpc-java)")
    run(compiler, "-cp", AXMLRPC, "-d", folder, CLIENTS / "java" / "StartVm.java")
    return [machine, "-cp", f"{AXMLRPC}:{folder}", "StartVm"]


def perl(folder: Path, script: str = "start_vm.pl") -> list[str]:
    found = program("perl", "perl")
    if subprocess.run([found, "-MRPC::XML::Client", "-e1"], capture_output=True).returncode:
        pytest.skip("Perl's RPC::XML is not installed (Debian: librpc-xml-perl libwww-perl)")
    return [found, str(CLIENTS / "perl" / script)]


def openstack(folder: Path) -> list[str]:
    found = "/usr/bin/python3"
    if (
        not Path(found).exists()
        or subprocess.run([found, "-c", "import os_xenapi.client"], capture_output=True).returncode
    ):
        pytest.skip("os_xenapi is not installed (Debian: python3-os-xenapi)")
    return [found, str(CLIENTS / "python" / "start_vm.py")]


@pytest.mark.parametrize("language", [java, perl, openstack], ids=lambda each: each.__name__)
def test_a_vm_is_read_and_started(bridge, xenapi, halted_vm, tmp_path, language):
    command = language(tmp_path)
    told = run(*command, bridge.url("xenapi-http"), bridge.user, bridge.password, halted_vm)
    count, last = told.splitlines()
    assert int(count) == len(xenapi.VM.get_all())
    assert last == f"{xenapi.VM.get_name_label(halted_vm)} Running"


def test_perl_reads_the_memory_of_hosts(bridge, xenapi, tmp_path):
    told = run(*perl(tmp_path, "host_memory.pl"), bridge.url("xenapi-http"), bridge.user, bridge.password)
    expected = []
    for host in xenapi.host.get_all():
        metrics = xenapi.host.get_metrics(host)
        total, free = (int(getattr(xenapi.host_metrics, f"get_memory_{kind}")(metrics)) for kind in ("total", "free"))
        assert 0 < free < total
        expected.append(f"{xenapi.host.get_name_label(host)} {total} {free}")
    assert told.splitlines() == expected


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ansible_takes_a_vm_through_its_life(start_bridge):
    folder = ansible()
    bridge = start_bridge()
    xenapi = bridge.xenapi().xenapi
    records = xenapi.VM.get_all_records().values()
    template = next(each["name_label"] for each in records if each["is_a_template"] and "Debian" in each["name_label"])
    network = xenapi.network.get_name_label(xenapi.network.get_all()[0])
    settings = {"url": bridge.url("xenapi-http"), "user": bridge.user, "secret": bridge.password}
    settings |= {"template": template, "network": network}
    before = set(xenapi.VM.get_all()), set(xenapi.VDI.get_all())
    told = [part for name, value in settings.items() for part in ("-e", f'{name}="{value}"')]
    environment = {"PATH": f"{folder}/bin:/usr/bin:/bin", "ANSIBLE_COLLECTIONS_PATH": str(folder), "LC_ALL": "C.UTF-8"}
    playbook = CLIENTS / "ansible" / "guest.yml"
    interpreter = f"ansible_python_interpreter={folder}/bin/python"
    run(
        folder / "bin" / "ansible-playbook", playbook, *told, "-e", interpreter, env=environment | {"HOME": str(folder)}
    )
    assert (set(xenapi.VM.get_all()), set(xenapi.VDI.get_all())) == before
