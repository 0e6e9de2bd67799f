"""A user who has been given roles in the pool, instead of those that the users file or the settings tell."""

from __future__ import annotations

from typing import Annotated, Any

from xenapi_core.classes.role import names_of_permissions, reference, role_of
from xenapi_core.datamodel import (
    POOL_ADMIN,
    READ_ONLY,
    RO,
    STATIC,
    Call,
    Objects,
    Record,
    RecordOf,
    Role,
    XenApiError,
    XenClass,
    field,
    message,
)
from xenapi_core.datamodel.refs import RoleRef, SubjectRef

SubjectRecord = Annotated[dict[str, Any], RecordOf("subject")]


class subject(XenClass, role=POOL_ADMIN, destroyable=True):
    """A user who has been given roles in the pool, instead of those that the users file or the settings tell."""

    uuid: str = field(RO, doc="unique identifier of the object")
    subject_identifier: str = field(STATIC, default="", doc="who it is, as auth.get_subject_identifier tells")
    other_config: dict[str, str] = field(STATIC, default={}, doc="what is known of the user")
    roles: list[RoleRef] = field(RO, default=(reference(POOL_ADMIN.label),), doc="the roles that the user has")

    @message(role=POOL_ADMIN, asynchronous=True, errors=("INVALID_VALUE", "SUBJECT_ALREADY_EXISTS"))
    def create(call: Call, args: SubjectRecord) -> SubjectRef:
        """Let a user in with the role pool-admin, until it is taken away."""
        name = args.get("subject_identifier", "")
        if not name:
            raise XenApiError("INVALID_VALUE", "subject_identifier", name)
        with call.store.write() as change:
            if any(each["subject_identifier"] == name for each in change.records("subject")):
                raise XenApiError("SUBJECT_ALREADY_EXISTS")
            return change.create("subject", args)

    @message(role=POOL_ADMIN, errors=("ROLE_NOT_FOUND", "ROLE_ALREADY_EXISTS"))
    def add_to_roles(call: Call, self: SubjectRef, role: RoleRef) -> None:
        """Give a user one of the six roles."""
        if role_of(role) is None:
            raise XenApiError("ROLE_NOT_FOUND")
        with call.store.write() as change:
            roles = change.record(self, "subject")["roles"]
            if role in roles:
                raise XenApiError("ROLE_ALREADY_EXISTS")
            change.update(self, roles=(*roles, role))

    @message(role=POOL_ADMIN, errors=("ROLE_NOT_FOUND",))
    def remove_from_roles(call: Call, self: SubjectRef, role: RoleRef) -> None:
        """Take a role from a user."""
        with call.store.write() as change:
            roles = change.record(self, "subject")["roles"]
            if role not in roles:
                raise XenApiError("ROLE_NOT_FOUND")
            change.update(self, roles=[each for each in roles if each != role])

    @message(role=READ_ONLY)
    def get_permissions_name_label(call: Call, self: SubjectRef) -> list[str]:
        """List the names of the permissions that a user's roles include."""
        roles = call.record(self, "subject")["roles"]
        return sorted({name for role in roles for name in names_of_permissions(call, role)})


def subject_of(objects: Objects, identifier: str) -> Record | None:
    """Return the subject with an identifier, None if no roles were given to it."""
    return next((each for each in objects.records("subject") if each["subject_identifier"] == identifier), None)


def strongest_role(found: Record) -> Role | None:
    """Return the strongest of a subject's roles, None if it has none."""
    return max((role for role in map(role_of, found["roles"]) if role is not None), default=None)
