"""The access control policy of Xen, as Xen-API 1.0 knows it.

The Xen that runs here has no such policy: none can be set, and calls that would need one tell so. Resources can carry
labels all the same; they are kept, and told when asked for.
"""

from __future__ import annotations

from typing import TypedDict

from xenapi_core.datamodel import (
    NULL,
    POOL_ADMIN,
    READ_ONLY,
    RO,
    RW,
    Call,
    Objects,
    XenApiError,
    XenClass,
    field,
    message,
)
from xenapi_core.datamodel.refs import XSPolicyRef

NO_POLICY = 0
"""The type of policy of a Xen without one."""

_ERRORS = -0x1000
"""Where Xen's numbers of policy errors begin."""
NOT_SUPPORTED = _ERRORS + 15
"""What setting a policy fails with."""
BAD_LABEL = _ERRORS + 20
"""The label is not the one that was expected."""
NOT_LOADED = _ERRORS + 22
"""What needs a policy fails with."""


class xs_policystate(TypedDict):
    """A policy, and how it went to set it: ``xserr`` is 0 if it went well."""

    xserr: int
    xs_ref: XSPolicyRef
    repr: str
    type: int
    flags: int
    version: str
    errors: str


def _state(error: int, kind: int = NO_POLICY, told: str = "") -> xs_policystate:
    return {
        "xserr": error,
        "xs_ref": NULL,
        "repr": "",
        "type": kind,
        "flags": 0,
        "version": "",
        "errors": told,
    }


class XSPolicy(XenClass, role=POOL_ADMIN):
    """The access control policy of Xen. This Xen has none."""

    uuid: str = field(RO, doc="unique identifier of the object")
    repr: str = field(RW, default="", doc="the policy as XML")
    type: int = field(RO, default=NO_POLICY, doc="kind of the policy, as bits")
    flags: int = field(RO, default=0, doc="when it takes effect, as bits")

    @message(role=READ_ONLY, asynchronous=True)
    def get_xstype(call: Call) -> int:
        """Get the kinds of policy that this Xen supports, as bits: none."""
        return NO_POLICY

    @message(role=POOL_ADMIN, asynchronous=True)
    def set_xspolicy(call: Call, type: int, repr: str, flags: int, overwrite: bool) -> xs_policystate:
        """Set the policy. The answer tells that this Xen supports no policy of the kind."""
        return _state(NOT_SUPPORTED, type, "this Xen supports no access control policy")

    @message(role=POOL_ADMIN, asynchronous=True)
    def reset_xspolicy(call: Call, type: int) -> xs_policystate:
        """Reset the policy to its default. The answer tells that this Xen supports no policy of the kind."""
        return _state(NOT_SUPPORTED, type, "this Xen supports no access control policy")

    @message(role=READ_ONLY, asynchronous=True)
    def get_xspolicy(call: Call) -> xs_policystate:
        """Get the policy: its type tells that there is none."""
        return _state(0)

    @message(role=POOL_ADMIN, asynchronous=True, errors=("SECURITY_ERROR",))
    def rm_xsbootpolicy(call: Call) -> None:
        """Load no policy at the next boot: always so where there is none."""

    @message(role=READ_ONLY, asynchronous=True)
    def get_labeled_resources(call: Call) -> dict[str, str]:
        """Get the labels of all resources that have one, by resource."""
        return _labels(call.store)

    @message(role=POOL_ADMIN, asynchronous=True, errors=("SECURITY_ERROR",))
    def set_resource_label(call: Call, resource: str, label: str, old_label: str) -> None:
        """Label a resource that has the old label (empty: none); the empty label takes it away."""
        with call.store.write() as change:
            labels = _labels(change)
            if old_label != labels.get(resource, ""):
                raise XenApiError("SECURITY_ERROR", BAD_LABEL, "the resource does not have the old label")
            others = {known: told for known, told in labels.items() if known != resource}
            for pool in change.records("pool"):
                change.update(pool.ref, resource_labels=others | ({resource: label} if label else {}))

    @message(role=READ_ONLY, asynchronous=True)
    def get_resource_label(call: Call, resource: str) -> str:
        """Get the label of a resource; empty if it has none."""
        return _labels(call.store).get(resource, "")

    @message(role=READ_ONLY, asynchronous=True, errors=("SECURITY_ERROR",))
    def can_run(call: Call, security_label: str) -> int:
        """Tell whether a VM with a label could run now: only one without, where there is no policy."""
        if security_label:
            raise XenApiError("SECURITY_ERROR", NOT_LOADED, "no access control policy is loaded")
        return 0


def _labels(objects: Objects) -> dict[str, str]:
    """Return the labels of resources."""
    return next((pool["resource_labels"] for pool in objects.records("pool")), {})
