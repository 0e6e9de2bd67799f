"""What a user may do: the six roles, and the permissions that they consist of, one for each message.

All are roles to the API: a role's subroles are the next weaker role and the permissions that it adds to that one's.
They follow from the declarations, so they are not in the journal.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Annotated, Any

from xenapi_core.datamodel import (
    READ_ONLY,
    RO,
    STATIC,
    Call,
    Datamodel,
    Record,
    RecordOf,
    Role,
    Store,
    XenClass,
    field,
    message,
)
from xenapi_core.datamodel.refs import RoleRef

DESCRIPTIONS = {
    Role.READ_ONLY: "May look, and change nothing",
    Role.VM_OPERATOR: "May use existing virtual machines: start and stop them",
    Role.VM_ADMIN: "May create, change and destroy virtual machines",
    Role.VM_POWER_ADMIN: "May also take snapshots of memory, migrate and choose hosts",
    Role.POOL_OPERATOR: "May manage hosts, networks and storage",
    Role.POOL_ADMIN: "May do everything",
}

_SPACE = uuid.UUID("8e1b2c40-0d3a-5c7b-9d0e-6f2b7a9c1e53")
"""The name space of the uuids of roles."""


RoleRecord = Annotated[Any, RecordOf("role")]


class role(XenClass, persistent=False, events=False):
    """What a user may do: one of the six roles, or the permission of one message."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(STATIC, default="", doc="the role's name, or the message's in lower case")
    name_description: str = field(STATIC, default="", doc="notes for people")
    subroles: list[RoleRef] = field(STATIC, default=(), doc="the roles and permissions that it consists of")
    is_internal: bool = field(RO, default=False, doc="whether it is for hosts alone, not for users")

    @message(role=READ_ONLY)
    def get_all(call: Call) -> list[RoleRef]:
        """List the references to all roles; permissions are not among them."""
        return list(_roles())

    @message(role=READ_ONLY)
    def get_all_records(call: Call) -> dict[RoleRef, RoleRecord]:
        """Get the records of all roles; permissions are not among them."""
        return {ref: call.record(ref) for ref in _roles()}

    @message(role=READ_ONLY)
    def get_permissions(call: Call, self: RoleRef) -> list[RoleRef]:
        """List the permissions that a role consists of."""
        return [permission.ref for permission in _permissions(call, self)]

    @message(role=READ_ONLY)
    def get_permissions_name_label(call: Call, self: RoleRef) -> list[str]:
        """List the names of the permissions that a role consists of."""
        return names_of_permissions(call, self)

    @message(role=READ_ONLY)
    def get_by_permission(call: Call, permission: RoleRef) -> list[RoleRef]:
        """List the roles that include a permission."""
        return [ref for ref in _roles() if any(each.ref == permission for each in _permissions(call, ref))]

    @message(role=READ_ONLY)
    def get_by_permission_name_label(call: Call, label: str) -> list[RoleRef]:
        """List the roles that include the permission of a name."""
        return [ref for ref in _roles() if label.lower() in names_of_permissions(call, ref)]


def reference(name: str) -> str:
    """Return the reference to a role or permission."""
    return f"OpaqueRef:{uuid.uuid5(_SPACE, 'ref/' + name)}"


def role_of(ref: str) -> Role | None:
    """Return the role that a reference stands for, None for a permission."""
    return _BY_REF.get(ref)


def names_of_permissions(call: Call, ref: str) -> list[str]:
    """Return the names of the permissions that a role consists of."""
    return [permission["name_label"] for permission in _permissions(call, ref)]


_BY_REF = {reference(each.label): each for each in Role}


def _roles() -> Iterator[str]:
    return (reference(each.label) for each in sorted(Role, reverse=True))


def _permissions(call: Call, ref: str) -> Iterator[Record]:
    record = call.record(ref, "role")
    if not record["subroles"] and role_of(ref) is None:
        yield record
    for part in record["subroles"]:
        yield from _permissions(call, part)


def establish(store: Store, model: Datamodel) -> None:
    """Make the roles and permissions that the declarations of messages speak of."""
    names: dict[Role, list[str]] = {each: [] for each in Role}
    for name, declared in sorted(model.messages.items()):
        names[declared.role].append(name.lower())
    weaker: tuple[str, ...] = ()
    with store.write() as change:

        def make(name: str, description: str, subroles: tuple[str, ...] = ()) -> str:
            values = {"name_label": name, "name_description": description, "subroles": subroles}
            identity = {"uuid": str(uuid.uuid5(_SPACE, name))}
            return change.create("role", identity | values, reference(name))

        for each in sorted(Role):
            added = [make(name, f"May send {name}") for name in names[each]]
            weaker = (make(each.label, DESCRIPTIONS[each], (*weaker, *added)),)
