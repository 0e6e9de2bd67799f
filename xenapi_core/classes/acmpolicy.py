"""A policy of Xen's access control module, as Xen-API 1.0 knows it. This Xen has no such module."""

from __future__ import annotations

from typing import TypedDict

from xenapi_core.classes.xspolicy import NOT_LOADED
from xenapi_core.datamodel import POOL_ADMIN, READ_ONLY, RO, RW, Call, XenApiError, XenClass, field, message
from xenapi_core.datamodel.refs import ACMPolicyRef, VMRef


class acm_policyheader(TypedDict):
    """What a policy tells of itself."""

    policyname: str
    policyurl: str
    date: str
    reference: str
    namespaceurl: str
    version: str


class ACMPolicy(XenClass, role=POOL_ADMIN):
    """A policy of Xen's access control module. There are none: this Xen has no such module."""

    uuid: str = field(RO, doc="unique identifier of the object")
    repr: str = field(RW, default="", doc="the policy as XML")
    type: int = field(RO, default=0, doc="kind of the policy, as bits")
    flags: int = field(RO, default=0, doc="when it takes effect, as bits")

    @message(role=READ_ONLY, asynchronous=True, errors=("SECURITY_ERROR",))
    def get_header(call: Call, self: ACMPolicyRef) -> acm_policyheader:
        """Get what a policy tells of itself."""
        raise _not_loaded(call, self)

    @message(role=READ_ONLY, asynchronous=True, name="get_XML")
    def get_xml(call: Call, self: ACMPolicyRef) -> str:
        """Get a policy as XML."""
        return str(call.record(self, "ACMPolicy")["repr"])

    @message(role=READ_ONLY, asynchronous=True, errors=("SECURITY_ERROR",))
    def get_map(call: Call, self: ACMPolicyRef) -> str:
        """Get the mapping of a policy."""
        raise _not_loaded(call, self)

    @message(role=READ_ONLY, asynchronous=True, errors=("SECURITY_ERROR",))
    def get_binary(call: Call, self: ACMPolicyRef) -> str:
        """Get the binary form of a policy."""
        raise _not_loaded(call, self)

    @message(role=READ_ONLY, asynchronous=True, errors=("SECURITY_ERROR",))
    def get_enforced_binary(call: Call, self: ACMPolicyRef) -> str:
        """Get the binary form of the policy that is enforced."""
        raise _not_loaded(call, self)

    @message(role=READ_ONLY, asynchronous=True, errors=("VM_BAD_POWER_STATE", "SECURITY_ERROR"))
    def get_VM_ssidref(call: Call, vm: VMRef) -> str:
        """Get the identifier of a running VM's label."""
        state = call.record(vm, "VM")["power_state"]
        if state not in ("Running", "Paused"):
            raise XenApiError("VM_BAD_POWER_STATE", vm, "running, paused", state.lower())
        raise XenApiError("SECURITY_ERROR", NOT_LOADED, "no access control policy is loaded")


def _not_loaded(call: Call, ref: str) -> XenApiError:
    """Return the error of what only a loaded policy has; HANDLE_INVALID if there is no such policy at all."""
    call.record(ref, "ACMPolicy")
    return XenApiError("SECURITY_ERROR", NOT_LOADED, "no access control policy is loaded")
