"""Logs in with os-xenapi's XenAPI, reads all VMs, starts the one named, and prints its name and state."""

import sys

from os_xenapi.client import XenAPI

url, user, password, vm = sys.argv[1:]
session = XenAPI.Session(url)
session.login_with_password(user, password, "2.1", "os-xenapi")
print(len(session.xenapi.VM.get_all()))
session.xenapi.VM.start(vm, False, False)
found = session.xenapi.VM.get_all_records_where(f'field "uuid"="{session.xenapi.VM.get_uuid(vm)}"')
assert list(found) == [vm], found
record = session.xenapi.VM.get_record(vm)
print(record["name_label"], record["power_state"])
session.xenapi.session.logout()
