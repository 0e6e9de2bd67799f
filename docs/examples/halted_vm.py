"""Print the uuid of a halted virtual machine: PyPI XenAPI, with the addresses of the running bridge."""

import json
import os
from pathlib import Path

import XenAPI

state = Path(os.environ.get("XEN_CIM_STATE", Path.home() / ".local/state/xen-cim"))
endpoints = json.loads((state / "endpoints.json").read_text())

session = XenAPI.Session(endpoints["urls"]["xenapi-http"])
session.xenapi.login_with_password(endpoints["user"], Path(endpoints["password_file"]).read_text().strip())
try:
    records = session.xenapi.VM.get_all_records().values()
    print(next(vm["uuid"] for vm in records if vm["power_state"] == "Halted" and not vm["is_a_template"]))
finally:
    session.xenapi.session.logout()
