"""`xen-cim check-config`: what a settings file asks for, and what is wrong with it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from netserve import certificates
from netserve.doors import Door
from netserve.server import DoorError, check
from xen_tools.configuration.files import USUAL, load, section, sections
from xen_tools.configuration.problems import Problem, SettingsError
from xen_tools.configuration.server import ServerSettings
from xen_tools.daemon import folder
from xen_tools.errors import CommandError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "file",
        nargs="?",
        type=folder,
        default=USUAL,
        metavar="FILE",
        help="TOML, or xend's *.sxp (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.epilog = "Exit code: 0 if the daemons would take it, 1 if something is wrong, 2 if there is no such file."


def main(arguments: argparse.Namespace) -> int:
    """Check a file and tell; return the exit code."""
    path: Path = arguments.file
    if not path.is_file():
        raise CommandError(f"There is no file {path}.", code=2)
    found = _Found(str(path))
    for name in sections(path):
        _look(path, name, found)
    print(json.dumps(found.as_json(), indent=2) if arguments.json else found.as_text())
    return 1 if found.problems else 0


@dataclass
class _Found:
    """What there is to tell of a file."""

    file: str
    doors: dict[str, list[Door]] = field(default_factory=dict)
    """By daemon, for those whose settings are right."""
    warnings: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def as_text(self) -> str:
        lines = []
        for name, doors in self.doors.items():
            lines.append(f"{name} would open {len(doors)} doors:" if len(doors) != 1 else f"{name} would open 1 door:")
            lines += [f"  {_told(door)}" for door in doors]
        lines += [f"Warning: {each}" for each in self.warnings]
        lines += map(str, self.problems)
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "daemons": {name: {"doors": [_as_json(door) for door in doors]} for name, doors in self.doors.items()},
            "warnings": self.warnings,
            "problems": [asdict(each) for each in self.problems],
        }


def _look(path: Path, name: str, found: _Found) -> None:
    try:
        settings = load(path, name, section(name))
    except SettingsError as error:
        found.problems += [each for each in error.problems if each not in found.problems]
        return
    doors = settings.open_doors()
    found.doors[name] = doors
    found.warnings += settings.warnings()
    with TemporaryDirectory() as folder:
        for door in doors:
            try:
                check(_as_checked(door, settings, Path(folder)))
            except DoorError as error:
                found.problems.append(Problem(str(path), None, name, f"would not start. {error}"))


def _as_checked(door: Door, settings: ServerSettings, folder: Path) -> Door:
    """Return what can be looked at of a door: for a certificate that is made at the start, one made in a folder."""
    if door.tls is None or door.tls.key != settings.tls / "key.pem" or door.tls.key.exists():
        return door
    made = certificates.ensure(folder)
    return replace(door, tls=replace(made, client_authorities=door.tls.client_authorities))


def _told(door: Door) -> str:
    asks = {
        "peer": "root and the daemon's own user, without a password",
        "none": "everybody, without a password",
        "local": "passwords of the users file",
        "pam": "passwords of the system (PAM)",
        "xen-api": "passwords of the Xen-API",
        "metrics": "everybody, for metrics alone",
    }[door.authentication]
    more = ["a client certificate"] if door.tls is not None and door.tls.client_authorities is not None else []
    hosts = f"; from {' or '.join(door.allowed_hosts)}" if door.allowed_hosts and door.path is None else ""
    return f"{door.url}  {' and '.join([asks, *more])}{hosts}"


def _as_json(door: Door) -> dict[str, Any]:
    return {
        "name": door.name,
        "url": door.url,
        "authentication": door.authentication,
        "allowed_hosts": list(door.allowed_hosts),
        "client_certificates": door.tls is not None and door.tls.client_authorities is not None,
    }
