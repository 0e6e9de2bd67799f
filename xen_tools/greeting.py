"""What `xen-cim run` prints once it runs: addresses, user, password, and commands to paste."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from xen_tools.probe import Credentials
from xen_tools.state_folder import StateFolder

LABELS = {
    "cim-http": "CIM-XML",
    "cim-https": "CIM-XML, TLS",
    "xenapi-http": "Xen-API",
    "xenapi-https": "Xen-API, TLS",
    "xenapi-unix": "Xen-API, socket",
}


def greeting(urls: Mapping[str, str], credentials: Credentials, state: StateFolder) -> str:
    """Return the text."""
    lines = [f"{label:<16}{urls[name]}" for name, label in LABELS.items()]
    lines += [
        f"{'User':<16}{credentials.user}",
        f"{'Password':<16}{credentials.password}",
        f"{'Certificate':<16}{credentials.certificate}",
        f"{'State, logs':<16}{state.path}",
        "",
        "To paste into another terminal:",
        "",
        *_commands(urls["cim-http"], urls["xenapi-http"], credentials),
        "",
    ]
    return "\n".join(lines)


def _commands(cim: str, xen_api: str, credentials: Credentials) -> list[str]:
    user, password = credentials.user, credentials.password
    pywbemcli = [_program("pywbemcli"), "--server", cim, "--user", user, "--password", password]
    show = [
        "--output-format",
        "table",
        "instance",
        "enumerate",
        "Xen_ComputerSystem",
        "--pl",
        "ElementName,EnabledState",
    ]
    scheme, _, address = cim.partition("://")
    wbemcli = ["wbemcli", "ein", f"{scheme}://{user}:{password}@{address}/root/cimv2:Xen_ComputerSystem"]
    return [
        shlex.join([*pywbemcli, *show]),
        "",
        shlex.join(wbemcli),
        "",
        f"{shlex.quote(sys.executable)} - <<'END'",
        "import XenAPI",
        f"session = XenAPI.Session({xen_api!r})",
        f"session.xenapi.login_with_password({user!r}, {password!r})",
        "for vm_ref in session.xenapi.VM.get_all():",
        "    vm_record = session.xenapi.VM.get_record(vm_ref)",
        '    print("VM name:", vm_record["name_label"])',
        "session.xenapi.VM.start(vm_ref, False)",
        "END",
    ]


def _program(name: str) -> str:
    """Return a program's path if it stands beside this Python, so that the command works in any terminal."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if shutil.which(beside) else name
