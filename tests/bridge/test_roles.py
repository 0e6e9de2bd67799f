"""What users of the Xen-API's roles may do at the CIM server."""

from __future__ import annotations

import pytest
import pywbem

from xenapi_core.access.local import set_password
from xenapi_core.datamodel.roles import Role

PASSWORD = "a password of theirs"
THING = pywbem.CIMClass("T_Thing", {"Name": pywbem.CIMProperty("Name", None, "string")})


@pytest.mark.parametrize("role", ["read-only", "vm-operator", "pool-operator", "pool-admin"])
def test_everybody_reads_and_administrators_make_classes(bridge, role):
    set_password(bridge.state / "users", role, PASSWORD, Role.named(role))
    with bridge.wbem(user=role, password=PASSWORD) as wbem:
        assert wbem.EnumerateInstanceNames("Xen_ComputerSystem")
        if role in ("pool-operator", "pool-admin"):
            wbem.CreateClass(THING)
            wbem.DeleteClass(THING.classname)
        else:
            with pytest.raises(pywbem.CIMError) as refused:
                wbem.CreateClass(THING)
            assert refused.value.status_code == pywbem.CIM_ERR_ACCESS_DENIED
