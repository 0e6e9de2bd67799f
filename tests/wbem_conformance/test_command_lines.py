"""Every command group of pywbemcli, and wbemcli, with pulled operations and without."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wbem_server import PASSWORD, USER, WbemServer

EXAMPLE = """'CIM_ComputerSystem.CreationClassName="CIM_ComputerSystem",Name="example"'"""
SECOND = EXAMPLE.replace("example", "second")

COMMANDS = {
    "class enumerate --names-only": "CIM_ManagedElement",
    "class get CIM_ComputerSystem": "class CIM_ComputerSystem : CIM_System",
    "class find CIM_ComputerSys*": "CIM_ComputerSystem",
    "class tree CIM_System": "CIM_ComputerSystem",
    "class associators CIM_ComputerSystem --names-only": "CIM_",
    "class references CIM_ComputerSystem --names-only": "CIM_",
    "class invokemethod Test_CLITestProviderClass echoString -p InputString=hello -n test/TestProvider": "hello",
    "instance enumerate CIM_ComputerSystem": '"A system"',
    f"instance get {EXAMPLE}": '"A system"',
    "instance count CIM_ComputerSystem": "CIM_ComputerSystem",
    "instance create CIM_ComputerSystem -p CreationClassName=CIM_ComputerSystem -p Name=second": 'Name="second"',
    f"instance modify {SECOND} -p ElementName=Changed": "",
    f"instance get {SECOND}": '"Changed"',
    f"instance associators {EXAMPLE}": "",
    f"instance references {EXAMPLE}": "",
    f"instance shrub {EXAMPLE}": "CIM_ComputerSystem",
    f"instance delete {SECOND}": "",
    "qualifier enumerate": "Qualifier Key : boolean",
    "qualifier get Key": "Qualifier Key : boolean",
    "server info": "root/interop",
    "server brand": "pycimom",
    "server schema": "2.",
    "namespace list": "test/TestProvider",
    "namespace interop": "root/interop",
    "namespace create test/made": "Created namespace test/made",
    "namespace delete test/made": "Deleted namespace test/made",
    "profile list": "Profile Registration",
    "profile centralinsts --organization DMTF --profile Indications": "CIM_IndicationService",
    "statistics server-on": "set to on",
    "statistics status": "server statistics gathering  on",
    "instance enumerate CIM_OperatingSystem": "",
    "statistics server-show": "GetInstance",
    "statistics server-off": "set to off",
    "statistics show": "EnumerateQualifiers",
    "statistics reset": "",
}
"""A session, and what it prints."""


@pytest.mark.parametrize("use_pull", ["yes", "no"])
def test_pywbemcli(server: WbemServer, use_pull: str):
    program = Path(sys.executable).with_name("pywbemcli")
    options = ["-s", server.url, "-u", USER, "-p", PASSWORD, "-d", "root/cimv2", "--use-pull", use_pull]
    commands = "".join(f"{each}\n" for each in COMMANDS)
    done = subprocess.run([program, *options], input=commands, capture_output=True, text=True, timeout=90, check=False)
    printed = done.stdout + done.stderr
    assert not re.search(r"^(Error|Usage|Traceback|Aborted)", printed, re.MULTILINE), printed[-6000:]
    position = 0
    for command, said in COMMANDS.items():
        found = printed.find(said, position)
        assert found >= 0, f"{command} does not print {said!r}:\n{printed[position:][:2000]}"
        position = found


@pytest.mark.skipif(shutil.which("wbemcli") is None, reason="wbemcli (Debian: sblim-wbemcli) is missing")
def test_wbemcli(server: WbemServer):
    def wbemcli(operation: str, what: str, *more: str) -> str:
        url = f"{server.url.replace('//', f'//{USER}:{PASSWORD}@')}/{what}"
        done = subprocess.run(
            ["wbemcli", *operation.split(), url, *more], capture_output=True, text=True, timeout=20, check=False
        )
        return done.stdout + done.stderr

    keys = 'CIM_ComputerSystem.CreationClassName="CIM_ComputerSystem",Name='
    example, second = f'root/cimv2:{keys}"example"', f'root/cimv2:{keys}"second"'
    assert "CIM_ComputerSystem" in wbemcli("ecn", "root/cimv2:CIM_System")
    assert "ElementName" in wbemcli("gc -nl", "root/cimv2:CIM_ComputerSystem")
    assert 'Name="example"' in wbemcli("ein", "root/cimv2:CIM_ComputerSystem")
    assert '-ElementName="A system"' in wbemcli("ei -nl", "root/cimv2:CIM_ComputerSystem")
    assert '-ElementName="A system"' in wbemcli("gi -nl", example)
    assert "second" in wbemcli("ci", second, "CreationClassName=CIM_ComputerSystem,Name=second")
    assert wbemcli("mi", second, 'ElementName="Changed"') == ""
    assert "Changed" in wbemcli("gp", second, "ElementName")
    assert wbemcli("sp", second, 'ElementName="Again"') == ""
    assert "Again" in wbemcli("gp", second, "ElementName")
    assert wbemcli("ain", example) == ""
    assert wbemcli("di", second) == ""
    assert "CIM_ERR_NOT_FOUND" in wbemcli("gi", second)
    system, namespace = wbemcli("ein", "root/interop:CIM_ComputerSystem"), wbemcli("ein", "root/interop:CIM_Namespace")
    assert "CIM_ObjectManager" in wbemcli("ain", system.strip().split("/", 1)[1])
    assert "root/cimv2" in namespace
    said = wbemcli("cm", "test/TestProvider:Test_CLITestProviderClass", 'echoString.InputString="hello"')
    assert "hello" in said
