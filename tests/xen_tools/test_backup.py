"""`xen-cim backup` and `xen-cim restore`, as a user types them, beside a daemon under write load."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pool_integrity
from write_load import Connection, Load
from xenapid_process import PASSWORD, USER, Xenapid


def xen_cim(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "xen_tools.xen_cim", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def xenapid() -> Iterator[Xenapid]:
    process = Xenapid()
    try:
        process.start()
        yield process
    finally:
        process.close()


def test_a_backup_under_load_holds_what_was_acknowledged_before_it(xenapid, tmp_path):
    load = Load(xenapid.url, USER, PASSWORD, clients=2, seed=5)
    call = Connection(xenapid.url, USER, PASSWORD)
    vm = call("VM.create", {"name_label": "mine", "memory_static_max": str(64 << 20)})
    load.start()
    copies = {}
    for number in range(2):
        call("VM.set_name_description", vm, f"before backup {number}")
        copies[number] = tmp_path / f"pool {number}"
        done = xen_cim("backup", copies[number], "--state", xenapid.state)
        assert done.returncode == 0, done.stderr
        assert f"The pool is backed up: {copies[number]} (" in done.stdout
        assert stat.S_IMODE(copies[number].stat().st_mode) == 0o600
    refused = xen_cim("restore", copies[0], "--state", xenapid.state)
    assert refused.returncode == 1
    assert refused.stderr == f"xen-cim: The journal {xenapid.state}/xen-api.journal is in use by another process.\n"
    load.stop()
    assert load.verify() == []
    call.close()
    assert xenapid.end() == 0

    for number, copy in copies.items():
        restored = xen_cim("restore", copy, "--state", xenapid.state)
        assert restored.returncode == 0, restored.stderr
        assert f"The pool is as it was in {copy} (" in restored.stdout
        assert f"What it was before is kept: {xenapid.state}/xen-api.journal.replaced-" in restored.stdout
        xenapid.start()
        call = Connection(xenapid.url, USER, PASSWORD)
        assert call("VM.get_name_description", vm) == f"before backup {number}"
        assert pool_integrity.problems(call) == []
        call.close()
        assert xenapid.end() == 0


def test_the_folder_is_that_of_xen_cim_run_unless_another_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XEN_CIM_STATE", str(tmp_path / "state"))
    refused = xen_cim("backup", tmp_path / "copy")
    assert refused.returncode == 1
    assert refused.stderr == f"xen-cim: There is no journal {tmp_path}/state/xenapid/xen-api.journal.\n"
    refused = xen_cim("restore", tmp_path / "nothing")
    assert refused.returncode == 1
    assert refused.stderr == f"xen-cim: There is no file {tmp_path}/nothing.\n"
    assert list(tmp_path.iterdir()) == []
