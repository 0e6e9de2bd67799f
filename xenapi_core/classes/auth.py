"""Who the users are that the pool could let in: those of the users file."""

from __future__ import annotations

from xenapi_core.access.identifiers import identifier, name_of
from xenapi_core.access.sessions import Sessions
from xenapi_core.datamodel import READ_ONLY, Call, Role, XenApiError, XenClass, message


class auth(XenClass, stored=False, events=False):
    """Who the users are that the pool could let in: those of the users file."""

    @message(role=READ_ONLY, errors=("SUBJECT_CANNOT_BE_RESOLVED",))
    async def get_subject_identifier(call: Call, subject_name: str) -> str:
        """Get the identifier of a user by the login name."""
        await _role(call, subject_name)
        return identifier(subject_name)

    @message(role=READ_ONLY, errors=("SUBJECT_CANNOT_BE_RESOLVED",))
    async def get_subject_information_from_identifier(call: Call, subject_identifier: str) -> dict[str, str]:
        """Get what is known of a user."""
        name = _name(subject_identifier)
        role = await _role(call, name)
        return {
            "subject-name": name,
            "subject-gecos": name,
            "subject-displayname": name,
            "subject-sid": subject_identifier,
            "subject-is-group": "false",
            "subject-account-disabled": "false",
            "subject-role": role.label,
        }

    @message(role=READ_ONLY, errors=("SUBJECT_CANNOT_BE_RESOLVED",))
    async def get_group_membership(call: Call, subject_identifier: str) -> list[str]:
        """List the identifiers of the groups that a user belongs to; the users file knows none."""
        await _role(call, _name(subject_identifier))
        return []


def _name(subject_identifier: str) -> str:
    name = name_of(subject_identifier)
    if name is None:
        raise XenApiError("SUBJECT_CANNOT_BE_RESOLVED")
    return name


async def _role(call: Call, name: str) -> Role:
    """Return the role of a local user; SUBJECT_CANNOT_BE_RESOLVED if there is none of that name."""
    role = await call.service(Sessions).role(name)
    if role is None:
        raise XenApiError("SUBJECT_CANNOT_BE_RESOLVED")
    return role
