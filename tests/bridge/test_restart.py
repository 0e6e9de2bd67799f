"""pycimom goes on while xenapid dies and comes back: it shows the last state meanwhile, and then the new one."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pywbem
import XenAPI

from bridge_process import short_folder
from netserve import certificates
from xen_tools import schema
from xenapi_core.access.local import set_password

USER, PASSWORD = "operator", "a password for this test"


@contextlib.contextmanager
def daemon(module: str, *arguments: str) -> Iterator[dict[str, str]]:
    """Run a daemon, yield its doors, and end it with SIGKILL."""
    command = [sys.executable, "-m", f"xen_tools.{module}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())["doors"]
        finally:
            process.kill()


@pytest.fixture
def folder() -> Iterator[Path]:
    path = short_folder()
    certificates.ensure(path / "tls")
    set_password(path / "users", USER, PASSWORD)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def xenapid(folder: Path, port: str = "0") -> contextlib.AbstractContextManager[dict[str, str]]:
    kept = ["--state", str(folder / "xenapid"), "--users", str(folder / "users"), "--tls", str(folder / "tls")]
    return daemon("xenapid", *kept, "--socket", str(folder / "api.sock"), "--http", port, "--https", "0", "--vms", "6")


def pycimom(folder: Path, xen_api: dict[str, str]) -> contextlib.AbstractContextManager[dict[str, str]]:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "xen-cim"
    given = os.environ.get("XEN_CIM_SCHEMA")
    archive = schema.obtain(cache, Path(given) if given else None)
    return daemon(
        "pycimom",
        *("--state", str(folder / "pycimom"), "--tls", str(folder / "tls"), "--cache", str(cache)),
        *("--schema", str(archive), "--xen-api", xen_api["xenapi-unix"], "--passwords", xen_api["xenapi-http"]),
        *("--http", "0", "--https", "0"),
    )


def test_a_restart_of_xenapid(folder, until):
    with contextlib.ExitStack() as stack:
        with xenapid(folder) as doors:
            port = str(urlsplit(doors["xenapi-http"]).port)
            cim = stack.enter_context(pycimom(folder, doors))
            wbem = stack.enter_context(
                pywbem.WBEMConnection(cim["cim-http"], (USER, PASSWORD), default_namespace="root/cimv2")
            )
            before = until(lambda: wbem.EnumerateInstances("Xen_ComputerSystem"), "the first read")

        assert wbem.EnumerateInstances("Xen_ComputerSystem") == before, "nobody is there, the last state is"
        target = next(each for each in before if each["EnabledState"] == 3)

        with xenapid(folder, port) as doors:
            session = XenAPI.Session(doors["xenapi-http"])
            session.xenapi.login_with_password(USER, PASSWORD)
            vm = session.xenapi.VM.get_by_uuid(target["Name"])
            session.xenapi.VM.set_name_label(vm, "renamed after the restart")

            def renamed() -> bool:
                return wbem.GetInstance(target.path)["ElementName"] == "renamed after the restart"

            until(renamed, "the change made after the restart")
            unchanged = {each.path: each for each in before if each.path != target.path}
            assert unchanged == {
                each.path: each for each in wbem.EnumerateInstances("Xen_ComputerSystem") if each.path != target.path
            }
            value, _ = wbem.InvokeMethod("RequestStateChange", target.path, RequestedState=pywbem.Uint16(2))
            assert value == 4096
            until(lambda: wbem.GetInstance(target.path)["EnabledState"] == 2, "the start")
