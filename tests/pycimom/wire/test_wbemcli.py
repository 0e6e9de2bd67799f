"""The other dialect of CIM-XML: wbemcli."""

from __future__ import annotations

import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(shutil.which("wbemcli") is None, reason="wbemcli (Debian: sblim-wbemcli) is missing")


@pytest.fixture
def wbemcli(server, tools):
    """Run wbemcli; the last argument that names an object gets the server's address."""

    def run(operation, what, *more):
        url = f"http://otto:{tools.password}@127.0.0.1:{server.port}/{what}"
        done = subprocess.run(
            ["wbemcli", *operation.split(), url, *more], capture_output=True, text=True, timeout=20, check=False
        )
        return done.stdout + done.stderr

    return run


SETTING = 'root/cimv2:T_Setting.InstanceID="setting 1"'


def test_reads(wbemcli):
    names = wbemcli("ein -nl", "root/cimv2:T_Setting").splitlines()
    assert [each.split("/", 1)[1] for each in names] == [SETTING, SETTING.replace("1", "2")]
    assert "-Level=2" in wbemcli("ei -nl", "root/cimv2:T_Setting")
    assert "-Level=1" in wbemcli("gi -nl", SETTING)
    assert wbemcli("gp", SETTING, "Level").strip() == "1"


def test_associations(wbemcli):
    assert "T_SubSystem.Name=" in wbemcli("ain", SETTING)
    assert "Extra=" in wbemcli("ai -ac T_Link -arc T_SubSystem -ar Dependent -arr Antecedent", SETTING)
    assert "T_SettingOf.Antecedent=" in wbemcli("rin", SETTING)
    assert "-Is_Current=TRUE" in wbemcli("ri -nl", SETTING)


def test_classes(wbemcli):
    assert "T_SubEvent" in wbemcli("ecn", "root/cimv2")
    assert "-InstanceID=" in wbemcli("gc -nl", "root/cimv2:T_Setting")
    assert "Extra=" in wbemcli("ec", "root/cimv2:T_System")


def test_writes(wbemcli):
    new = 'root/cimv2:T_Setting.InstanceID="new"'
    assert new in wbemcli("ci", new, "InstanceID=new,Level=4")
    assert wbemcli("mi", new, "Level=9") == ""
    assert "Level=4" in wbemcli("gi", new)
    assert wbemcli("di", new) == ""
    assert "CIM_ERR_NOT_FOUND" in wbemcli("gi", new)


def test_methods(server, tools, wbemcli):
    server.provider.put(tools.named("T_System", {"Name": "plain", "Number": 7}))
    assert "Reset: 4096, Job (reference): root/cimv2:T_Setting" in wbemcli("cm", "root/cimv2:T_System", "Reset.Kind=3")
    which = 'Reset.Kind=2,Which=T_Setting.InstanceID="setting 1"'
    assert "Reset: 4096" in wbemcli("cm", 'root/cimv2:T_System.Name="plain",Number=7', which)
    _, target, _, inputs = server.provider.calls[-1]
    assert (target.get("Number"), inputs["Kind"], inputs["Which"].get("InstanceID")) == (7, 2, "setting 1")


def test_errors(wbemcli):
    assert "CIM_ERR_INVALID_CLASS" in wbemcli("ei", "root/cimv2:Nothing")
    assert "CIM_ERR_INVALID_NAMESPACE" in wbemcli("ei", "no/such:T_System")
