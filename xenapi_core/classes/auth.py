"""Who the users are that the pool could let in: those of the users file, and those of the system."""

from __future__ import annotations

from xenapi_core.access.identifiers import parts
from xenapi_core.access.sessions import Sessions
from xenapi_core.access.users import User
from xenapi_core.datamodel import READ_ONLY, Call, XenApiError, XenClass, message


class auth(XenClass, stored=False, events=False):
    """Who the users are that the pool could let in: those of the users file, and those of the system."""

    @message(role=READ_ONLY, errors=("SUBJECT_CANNOT_BE_RESOLVED",))
    async def get_subject_identifier(call: Call, subject_name: str) -> str:
        """Get the identifier of a user by the login name. A user of the users file goes before one of the system."""
        found = await call.service(Sessions).find(subject_name)
        if found is None:
            raise XenApiError("SUBJECT_CANNOT_BE_RESOLVED")
        return found

    @message(role=READ_ONLY, errors=("SUBJECT_CANNOT_BE_RESOLVED",))
    async def get_subject_information_from_identifier(call: Call, subject_identifier: str) -> dict[str, str]:
        """Get what is known of a user."""
        role = (await _user(call, subject_identifier)).role
        _, name = parts(subject_identifier)
        return {
            "subject-name": name,
            "subject-gecos": name,
            "subject-displayname": name,
            "subject-sid": subject_identifier,
            "subject-is-group": "false",
            "subject-account-disabled": "false",
            "subject-role": role.label if role else "",
        }

    @message(role=READ_ONLY, errors=("SUBJECT_CANNOT_BE_RESOLVED",))
    async def get_group_membership(call: Call, subject_identifier: str) -> list[str]:
        """List the identifiers of the groups that a user belongs to: none, since no group can be a subject."""
        await _user(call, subject_identifier)
        return []


async def _user(call: Call, subject_identifier: str) -> User:
    """Return the user of an identifier; SUBJECT_CANNOT_BE_RESOLVED if there is none."""
    user = await call.service(Sessions).resolve(subject_identifier)
    if user is None:
        raise XenApiError("SUBJECT_CANNOT_BE_RESOLVED")
    return user
