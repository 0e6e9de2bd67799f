"""Sessions: logging in and out."""

from __future__ import annotations

from datetime import datetime

from xenapi_core.access.sessions import Session, Sessions
from xenapi_core.classes.role import names_of_permissions, reference
from xenapi_core.classes.subject import strongest_role, subject_of
from xenapi_core.datamodel import (
    NULL,
    POOL_ADMIN,
    POOL_OPERATOR,
    READ_ONLY,
    RO,
    RW,
    STATIC,
    Call,
    Record,
    Role,
    XenApiError,
    XenClass,
    field,
    message,
)
from xenapi_core.datamodel.refs import HostRef, SessionRef, SubjectRef, TaskRef, UserRef
from xenapi_core.datamodel.types import EPOCH


def _session(call: Call) -> Session:
    return call.service(Sessions).get(call.session)


def _record(call: Call, ref: str) -> Record:
    """Return the record of the caller's own session; the dispatcher lets no other through."""
    own = _session(call)
    host = next((pool["master"] for pool in call.store.durable.records("pool")), NULL)
    users = call.store.durable.records("user")
    known = {
        "uuid": own.uuid,
        "this_host": host,
        "this_user": next((user.ref for user in users if user["short_name"] == own.user.name), NULL),
        "last_active": own.last_active,
        "other_config": own.other_config,
        "is_local_superuser": own.user.trusted,
        "subject": own.subject or NULL,
        "auth_user_sid": "" if own.user.trusted else own.identifier,
        "validation_time": own.created,
        "auth_user_name": own.user.name,
        "rbac_permissions": () if own.user.trusted else names_of_permissions(call, reference(own.user.role.label)),
        "originator": own.originator,
    }
    shape = session.definition
    values = tuple(known.get(name, default) for name, default in zip(shape.fields, shape.defaults, strict=True))
    return Record(shape, ref, 0, values)


async def _begin(call: Call, name: str, password: str, originator: str = "") -> Session:
    """Begin a session, with the role that the user has as a subject, or by the users file or the settings."""

    def as_subject(identifier: str) -> tuple[Role | None, str] | None:
        found = subject_of(call.store.durable, identifier)
        return None if found is None else (strongest_role(found), found.ref)

    return await call.service(Sessions).login(call.door, call.user, name, password, originator, as_subject)


class session(XenClass, stored=False, events=False, read=_record, removed=("create_from_db_file",)):
    """A session. Its reference is a secret, so it is in no record and no event, and only itself can ask about it."""

    uuid: str = field(RO, doc="unique identifier of the session")
    this_host: HostRef = field(RO, doc="the host that the session speaks to")
    this_user: UserRef = field(RO, doc="the user who logged in; null if that is not one that the host knows")
    last_active: datetime = field(RO, doc="when the session was last used")
    pool: bool = field(RO, default=False, doc="whether it was begun by another host of the pool")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
    is_local_superuser: bool = field(RO, default=False, doc="whether the user came as root through the host's socket")
    subject: SubjectRef = field(RO, default=NULL, doc="the subject that gave the session its roles")
    validation_time: datetime = field(RO, default=EPOCH, doc="when the user was last checked")
    auth_user_sid: str = field(RO, default="", doc="the user's identifier in a directory")
    auth_user_name: str = field(RO, default="", doc="the user's name")
    rbac_permissions: list[str] = field(STATIC, default=[], doc="the permissions of its role; none are listed for root")
    tasks: list[TaskRef] = field(RO, default=[], doc="tasks begun in the session")
    parent: SessionRef = field(STATIC, default=NULL, doc="the session that created this one")
    originator: str = field(RO, default="", doc="name that the client gave of itself")
    client_certificate: bool = field(RO, default=False, doc="whether the user came with a certificate")

    @message(role=READ_ONLY, session=False, errors=("SESSION_AUTHENTICATION_FAILED", "RBAC_PERMISSION_DENIED"))
    async def login_with_password(
        call: Call, uname: str, pwd: str, version: str = "1.1", originator: str = ""
    ) -> SessionRef:
        """Log in with a name and a password, and return the reference of a new session.

        The version is ignored. The originator is a name that the client gives of itself, so that its sessions are
        counted apart from those of others.
        """
        return (await _begin(call, uname, pwd, originator)).ref

    @message(session=False, errors=("SESSION_AUTHENTICATION_FAILED", "RBAC_PERMISSION_DENIED"))
    async def slave_local_login_with_password(call: Call, uname: str, pwd: str) -> SessionRef:
        """Log in at this host itself, which only the role pool-admin may."""
        begun = await _begin(call, uname, pwd)
        if begun.user.role < POOL_ADMIN:
            call.service(Sessions).end(begun)
            raise XenApiError("RBAC_PERMISSION_DENIED", "session.slave_local_login_with_password", "pool-admin only")
        return begun.ref

    @message()
    def local_logout(call: Call) -> None:
        """Log out of a session that was begun at this host itself."""
        call.service(Sessions).end(_session(call))

    @message(role=READ_ONLY)
    def get_all_subject_identifiers(call: Call) -> list[str]:
        """List the identifiers of the users who are logged in."""
        return sorted(call.service(Sessions).users())

    @message(role=POOL_OPERATOR)
    def logout_subject_identifier(call: Call, subject_identifier: str) -> None:
        """End all sessions of a user, but not this one."""
        call.service(Sessions).end_of_user(subject_identifier, but=_session(call))

    @message(role=READ_ONLY)
    def logout(call: Call) -> None:
        """Log out: end this session, and every call that waits on its behalf."""
        call.service(Sessions).end(_session(call))

    @message(errors=("SESSION_AUTHENTICATION_FAILED", "PERMISSION_DENIED"))
    async def change_password(call: Call, old_pwd: str, new_pwd: str) -> None:
        """Change the password of this session's user. The user's other sessions end."""
        await call.service(Sessions).change_password(_session(call), old_pwd, new_pwd)

    @message(role=READ_ONLY, errors=("UUID_INVALID",))
    def get_by_uuid(call: Call, uuid: str) -> SessionRef:
        """Get the reference to this session by its uuid."""
        own = _session(call)
        if uuid != own.uuid:
            raise XenApiError("UUID_INVALID", "session", uuid)
        return own.ref

    @message()
    def set_other_config(call: Call, self: SessionRef, value: dict[str, str]) -> None:
        """Set the field other_config of the session."""
        _session(call).other_config = value

    @message(errors=("MAP_DUPLICATE_KEY",))
    def add_to_other_config(call: Call, self: SessionRef, key: str, value: str) -> None:
        """Add a key and its value to the map other_config of the session."""
        own = _session(call)
        if key in own.other_config:
            raise XenApiError("MAP_DUPLICATE_KEY", "session", "other_config", self, key)
        own.other_config = {**own.other_config, key: value}

    @message()
    def remove_from_other_config(call: Call, self: SessionRef, key: str) -> None:
        """Remove a key and its value from the map other_config of the session, if it is there."""
        own = _session(call)
        own.other_config = {known: value for known, value in own.other_config.items() if known != key}
