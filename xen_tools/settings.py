"""The settings of `xen-cim run`: variables of the environment, checked (docs/settings.md lists them)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from netserve.server import UNIX_PATH_SIZE
from xen_tools.errors import CommandError

MOST_HOSTS = 64
MOST_VMS = 100_000


@dataclass(frozen=True)
class Settings:
    """What the user asked for, or the default of what was not said."""

    state: Path
    """Folder of everything that is kept."""
    cache: Path
    """Folder of what can be fetched or made again."""
    socket: Path
    """Where the unix socket of the Xen-API goes."""
    user: str
    password: str | None
    """None: the one that was generated at the first start."""
    hosts: int
    vms: int
    seed: int
    free_ports: bool
    """Take any free ports instead of the fixed ones."""
    schema: Path | None
    """The zip file of the DMTF schema; None: fetched."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Read the environment; CommandError (exit code 2) names the variable that makes no sense."""
        reader = _Reader(environment)
        state = reader.folder("XEN_CIM_STATE", "XDG_STATE_HOME", ".local/state")
        return cls(
            state=state,
            cache=cache_folder(environment),
            socket=reader.socket("XEN_CIM_SOCKET", state / "xen-api.sock"),
            user=reader.user("XEN_CIM_USER", "admin"),
            password=reader.password("XEN_CIM_PASSWORD"),
            hosts=reader.number("XEN_CIM_HOSTS", 2, 1, MOST_HOSTS),
            vms=reader.number("XEN_CIM_VMS", 12, 0, MOST_VMS),
            seed=reader.number("XEN_CIM_SEED", 1, 0, 2**63 - 1),
            free_ports=reader.choice("XEN_CIM_PORTS", ("fixed", "auto")) == "auto",
            schema=schema_file(environment),
        )

    def warnings(self) -> list[str]:
        """Return sentences about what will work, but not for everybody."""
        if "_" in str(self.socket):
            return [f"The PyPI client XenAPI cannot reach the socket {self.socket}, because its path has a '_'."]
        return []


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder where the schema is kept, as fetched and as compiled."""
    return _Reader(environment).folder(None, "XDG_CACHE_HOME", ".cache")


def schema_file(environment: Mapping[str, str]) -> Path | None:
    """Return the file that XEN_CIM_SCHEMA names, None if it names none; CommandError if it does not exist."""
    return _Reader(environment).file("XEN_CIM_SCHEMA")


class _Reader:
    """Reads variables; an empty one counts as not set."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def _text(self, name: str) -> str | None:
        return self._environment.get(name) or None

    def folder(self, name: str | None, base: str, below_home: str) -> Path:
        if name is not None and (text := self._text(name)):
            return _absolute(text)
        above = self._text(base)
        return (_absolute(above) if above else Path.home() / below_home) / "xen-cim"

    def file(self, name: str) -> Path | None:
        text = self._text(name)
        if text is None:
            return None
        path = _absolute(text)
        if not path.is_file():
            raise _wrong(name, f"there is no file {path}")
        return path

    def socket(self, name: str, default: Path) -> Path:
        text = self._text(name)
        path = _absolute(text) if text else default
        size = len(os.fsencode(path))
        if size > UNIX_PATH_SIZE:
            why = f"the path of a unix socket may have {UNIX_PATH_SIZE} bytes at most, and {path} has {size}"
            raise _wrong(name, why)
        return path

    def number(self, name: str, default: int, least: int, most: int) -> int:
        text = self._text(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise _wrong(name, f"it must be a whole number from {least} to {most}, not {text!r}")
        return int(text)

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        text = self._text(name) or choices[0]
        if text not in choices:
            raise _wrong(name, f"it must be {' or '.join(map(repr, choices))}, not {text!r}")
        return text

    def user(self, name: str, default: str) -> str:
        text = self._text(name) or default
        if ":" in text or text[0] == "#" or not text.isprintable():
            raise _wrong(name, "a user name has no ':', no '#' at its beginning and no control characters")
        return text

    def password(self, name: str) -> str | None:
        text = self._text(name)
        if text is not None and not text.isprintable():
            raise _wrong(name, "a password has no control characters")
        return text


def _absolute(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _wrong(name: str, why: str) -> CommandError:
    return CommandError(f"{name} makes no sense: {why}.", code=2)
