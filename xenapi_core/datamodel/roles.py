"""The six roles of role-based access control, weakest first (Xen-API, section "RBAC")."""

from __future__ import annotations

from enum import IntEnum


class Role(IntEnum):
    """A role; each may do all that the weaker ones may."""

    READ_ONLY = 1
    VM_OPERATOR = 2
    VM_ADMIN = 3
    VM_POWER_ADMIN = 4
    POOL_OPERATOR = 5
    POOL_ADMIN = 6

    @property
    def label(self) -> str:
        """The role's name in the API, such as "vm-power-admin"."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def named(cls, label: str) -> Role:
        """Return the role of an API name; ValueError if there is none."""
        for role in cls:
            if role.label == label:
                return role
        raise ValueError(f"{label!r} is no role: expected one of {', '.join(role.label for role in cls)}")


READ_ONLY = Role.READ_ONLY
VM_OPERATOR = Role.VM_OPERATOR
VM_ADMIN = Role.VM_ADMIN
VM_POWER_ADMIN = Role.VM_POWER_ADMIN
POOL_OPERATOR = Role.POOL_OPERATOR
POOL_ADMIN = Role.POOL_ADMIN
