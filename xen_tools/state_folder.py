"""The state folder of `xen-cim run`: who may use it, what is where, and the password."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netserve.files import write_atomically
from xen_tools.errors import CommandError


@dataclass(frozen=True)
class StateFolder:
    """Where things are below the folder."""

    path: Path

    @property
    def password_file(self) -> Path:
        """The password in clear, for the user to look up."""
        return self.path / "password"

    @property
    def users_file(self) -> Path:
        """The scrypt hash of the password, for the Xen-API."""
        return self.path / "users"

    @property
    def endpoints_file(self) -> Path:
        """The addresses, for programs."""
        return self.path / "endpoints.json"

    @property
    def tls(self) -> Path:
        """Key and certificate."""
        return self.path / "tls"

    def state_of(self, daemon: str) -> Path:
        """Where a daemon keeps what must outlive it."""
        return self.path / daemon

    def log_of(self, daemon: str) -> Path:
        """Where a daemon's log goes."""
        return self.path / "log" / f"{daemon}.log"

    def open(self) -> int:
        """Make the folder if need be and take its lock, held until the descriptor returned is closed.

        CommandError if it cannot be written, or another run has it.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.path / "log").mkdir(mode=0o700, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise CommandError(f"The state folder {self.path} cannot be written: {why}.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise CommandError(
                f"The state folder {self.path} is in use by another `xen-cim run`; "
                "set XEN_CIM_STATE to another folder, or stop that one."
            ) from error
        return lock

    def password(self, given: str | None) -> str:
        """Return the password: the given one, else the one of earlier starts, else a new one; it is kept."""
        try:
            kept = self.password_file.read_text(encoding="utf-8").rstrip("\n")
        except FileNotFoundError:
            kept = ""
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The password file {self.password_file} cannot be read: {error}.") from error
        password = given or kept or secrets.token_urlsafe(12)
        if password != kept:
            write_atomically(self.password_file, f"{password}\n".encode())
        return password

    def read_endpoints(self) -> dict[str, Any]:
        """Return what the last start wrote, empty if there was none."""
        try:
            endpoints = json.loads(self.endpoints_file.read_bytes())
        except (OSError, ValueError):
            return {}
        return endpoints if isinstance(endpoints, dict) else {}

    def write_endpoints(self, endpoints: dict[str, Any]) -> None:
        """Write the addresses for programs."""
        write_atomically(self.endpoints_file, json.dumps(endpoints, indent=2).encode() + b"\n")
