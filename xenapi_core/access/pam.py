"""Users of the system: PAM says whether a password is right and the account may be used, the settings say the role."""

from __future__ import annotations

import ctypes
import grp
import hashlib
import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from xenapi_core.access.users import UsersError
from xenapi_core.datamodel.roles import POOL_ADMIN, READ_ONLY, Role

log = structlog.get_logger(__name__)

SERVICE = "login"
"""The PAM service that xend asked."""
ROLES = (("root", POOL_ADMIN), ("%sudo", POOL_ADMIN), ("%wheel", POOL_ADMIN), ("*", READ_ONLY))
"""Whoever can become root by the same password is an administrator here too; others may look."""

PASSWORDS = Path("/etc/shadow")
SERVICES = (Path("/etc/pam.d"), Path("/usr/lib/pam.d"))
"""Folders with a file for each service."""
TERMINAL = "xenapid"
"""What modules are told that ask for a terminal."""

_FAIL_DELAY = 10
"""PAM_FAIL_DELAY of Linux-PAM."""
_DISALLOW_NULL_AUTHTOK = 1
_UNABLE = frozenset({1, 2, 3, 4, 5, 9, 19, 26, 28})
"""PAM's codes for not being able to tell: libraries, modules or databases that fail."""

_secret = os.urandom(32)


_no_delay = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)(lambda *_: None)
"""What libpam calls to wait after a failure. ``Throttle`` waits instead, and holds up no thread by it."""


@dataclass(frozen=True)
class Pam:
    """How the system's users are let in."""

    service: str = SERVICE
    """The PAM service that is asked: a file in /etc/pam.d."""
    roles: Sequence[tuple[str, Role]] = ROLES
    """Roles by user, by %group, or for everybody (*); of several, the strongest."""


@dataclass(frozen=True)
class PamUser:
    """A user of the system."""

    name: str
    role: Role | None
    account: bytes | None = field(repr=False)
    """Stands for the entry in the password database, as long as this process lives; None if there is none."""


class PamUsers:
    """The users whom a PAM service lets in."""

    at_a_time = 4

    def __init__(self, settings: Pam) -> None:
        self._settings = settings

    def verify(self, name: str, password: str, address: str = "") -> PamUser | None:
        """Return the user whom PAM lets in by a name and a password, None if there is none."""
        if not name or not password or "\0" in name or "\0" in password:
            return None
        pamela = _library()
        try:
            return self.current(_let_in(pamela, self._settings.service, name, password, address))
        except pamela.PAMError as error:
            if error.errno in _UNABLE:
                service = self._settings.service
                raise UsersError(f"The PAM service {service!r} cannot check passwords: {error.message}.") from error
            log.info("pam_refused", user=name, reason=error.message)
            return None

    def current(self, name: str) -> PamUser:
        """Return what is known now of a user who was verified before."""
        groups = {f"%{each}" for each in _groups(name)}
        fitting = (role for each, role in self._settings.roles if each in (name, "*") or each in groups)
        return PamUser(name, max(fitting, default=None), _account(name))

    def find(self, name: str) -> PamUser | None:
        """Return the system's user of a name."""
        return self.current(name) if _entry(name) else None

    def shortcomings(self) -> list[str]:
        """Return sentences about what stands in the way of checking passwords."""
        try:
            _library()
        except UsersError as error:
            return [str(error)]
        told = []
        service = self._settings.service
        if not any((folder / service).exists() for folder in SERVICES):
            told.append(f"There is no PAM service {service!r} in {SERVICES[0]}; PAM asks the service 'other' instead.")
        if not os.access(PASSWORDS, os.R_OK, effective_ids=True):
            told.append(
                f"The password database {PASSWORDS} cannot be read by this process (user id {os.geteuid()}): PAM can "
                "check the passwords of no users but this one. Run the server as root, or give it the group shadow."
            )
        return told


def _library() -> Any:
    """Return the module pamela; UsersError names what is missing."""
    try:
        import pamela
    except ImportError as error:
        raise UsersError(f"Passwords of the system cannot be checked: {error}; install pamela from PyPI.") from error
    except (AttributeError, OSError) as error:
        raise UsersError(
            f"Passwords of the system cannot be checked: there is no libpam (Debian: libpam0g): {error}."
        ) from error
    return pamela


def _let_in(pamela: Any, service: str, name: str, password: str, address: str) -> str:
    """Return the name of the user who is let in, as the modules know it; PAMError if nobody is."""
    conversation = pamela.new_simple_password_conv((password,), "utf-8")  # C calls it until the end, so it is kept
    handle = pamela.pam_start(service, name, conversation)
    code = pamela.PAM_BAD_ITEM
    try:
        handle.set_item(pamela.PAM_TTY, TERMINAL)
        if address:
            handle.set_item(pamela.PAM_RHOST, address)
        pamela.PAM_SET_ITEM(handle, _FAIL_DELAY, ctypes.cast(_no_delay, ctypes.c_char_p))
        code = pamela.PAM_AUTHENTICATE(handle, _DISALLOW_NULL_AUTHTOK)
        if code == pamela.PAM_SUCCESS:
            code = pamela.PAM_ACCT_MGMT(handle, _DISALLOW_NULL_AUTHTOK)
        if code != pamela.PAM_SUCCESS:
            raise pamela.PAMError(errno=code)
        return handle.get_item(pamela.PAM_USER) or name
    finally:
        pamela.PAM_END(handle, code)


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except (KeyError, ValueError):
        return None


def _groups(name: str) -> list[str]:
    entry = _entry(name)
    if entry is None:
        return []
    names = []
    for number in os.getgrouplist(name, entry.pw_gid):
        try:
            names.append(grp.getgrgid(number).gr_name)
        except KeyError:  # a group without a name
            continue
    return names


def _account(name: str) -> bytes | None:
    """Return what changes with a user's password, lock and dates, and tells nothing of them."""
    wanted = f"{name}:".encode()
    try:
        lines = PASSWORDS.read_bytes().splitlines()
    except OSError:
        return None
    return next((hashlib.blake2b(line, key=_secret).digest() for line in lines if line.startswith(wanted)), None)
