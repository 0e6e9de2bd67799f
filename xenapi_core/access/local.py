"""Local users: a file of names, roles and password hashes.

One line a user, ``name:role:hash``; empty lines and lines that begin with # are skipped. The file is the owner's alone
(mode 0600).
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from xenapi_core.access.passwords import PasswordHash
from xenapi_core.access.users import UsersError
from xenapi_core.datamodel.roles import POOL_ADMIN, Role


class UsersFileError(UsersError):
    """The file of users cannot be read or written. The text is a sentence that names the file and the line."""


@dataclass(frozen=True)
class LocalUser:
    """A user of the file."""

    name: str
    role: Role
    password: PasswordHash


def read_users(file: Path) -> dict[str, LocalUser]:
    """Return the users of a file by name; none if there is no file yet."""
    try:
        with file.open(encoding="utf-8") as text:
            if stat.S_IMODE(os.fstat(text.fileno()).st_mode) & 0o077:
                raise UsersFileError(f"The users file {file} may be read by others: make it yours alone (chmod 600).")
            lines = text.read().splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsersFileError(f"The users file {file} cannot be read: {error}.") from error
    users = (_user(file, number, line) for number, line in enumerate(lines, 1) if line.strip() and line[0] != "#")
    return {user.name: user for user in users}


def _user(file: Path, number: int, line: str) -> LocalUser:
    try:
        name, role, text = line.split(":")
        return LocalUser(name, Role.named(role), PasswordHash.parse(text))
    except ValueError as error:
        raise UsersFileError(f"Line {number} of the users file {file} is not name:role:hash ({error}).") from error


def set_password(file: Path, user: str, password: str, role: Role | None = None) -> None:
    """Write a user's password, and the role if one is given (a new user: pool-admin). Takes a while: scrypt.

    ValueError for a name that the file cannot hold, UsersFileError if it cannot be read or written.
    """
    if not user or ":" in user or user[0] == "#" or not user.isprintable():
        raise ValueError(f"{user!r} is no user name: it may not be empty, begin with # or hold : or control characters")
    users = read_users(file)
    known = users.get(user)
    kept = role or (known.role if known else POOL_ADMIN)
    users[user] = LocalUser(user, kept, PasswordHash.of(password))
    text = "".join(f"{each.name}:{each.role.label}:{each.password}\n" for each in users.values())
    _replace(file, text)


def _replace(file: Path, text: str) -> None:
    """Replace a file in one step, so that a crash leaves the old one or the new one."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsersFileError(f"The users file {file} cannot be written: {error}.") from error


class LocalUsers:
    """The users of a file, read again whenever it changes. Its methods take a while: not on the event loop."""

    at_a_time = 2
    """Each hash takes a processor, and memory."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._seen: tuple[int, int, int] | None = None
        self._users: dict[str, LocalUser] = {}
        self._nobody = PasswordHash.of(secrets.token_hex(16))
        self.users()

    def users(self) -> dict[str, LocalUser]:
        """Return the users by name; UsersFileError if the file is wrong."""
        try:
            found = self.file.stat()
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            seen = None
        if seen is None or seen != self._seen:
            self._users = read_users(self.file)
            self._seen = seen
        return self._users

    def verify(self, name: str, password: str, address: str = "") -> LocalUser | None:
        """Return the user of a name and password, None if there is none. Takes as long for an unknown name."""
        user = self.users().get(name)
        if (user.password if user else self._nobody).matches(password):
            return user
        return None

    def find(self, name: str) -> LocalUser | None:
        """Return the user of a name, None if there is none."""
        return self.users().get(name)

    current = find
