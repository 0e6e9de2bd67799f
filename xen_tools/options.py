"""What a daemon is told: the settings file that it is given, and options that go before it."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields, replace
from typing import Generic, TypeVar

import structlog

from netserve.doors import Door
from xen_tools import daemon
from xen_tools.configuration.files import load
from xen_tools.configuration.problems import SettingsError
from xen_tools.configuration.server import ServerSettings

T = TypeVar("T", bound=ServerSettings)

_OF_DOORS = ("host", "http", "https")
"""Options that are not for a settings file, which says itself which doors there are."""

log = structlog.get_logger(__name__)


def add_arguments(parser: argparse.ArgumentParser, http: int, https: int) -> None:
    """Declare the options about settings that all daemons have."""
    parser.add_argument("--config", type=daemon.folder, metavar="FILE", help="settings file; SIGHUP reads it again")
    parser.add_argument("--host", help="address to listen at, instead of loopback")
    parser.add_argument("--http", type=daemon.port, metavar="PORT", help=f"instead of {http}")
    parser.add_argument("--https", type=daemon.port, metavar="PORT", help=f"instead of {https}")


def parse(parser: argparse.ArgumentParser, words: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of a command line; wrong usage ends the program."""
    arguments = parser.parse_args(words)
    given = [f"--{name}" for name in _OF_DOORS if getattr(arguments, name) is not None]
    if arguments.config is not None and given:
        parser.error(f"{given[0]} is not for a settings file: that says which doors there are")
    return arguments


class Told(Generic[T]):
    """The settings of a daemon."""

    def __init__(self, name: str, cls: type[T], arguments: argparse.Namespace, door_names: Sequence[str]) -> None:
        """``door_names`` are those of the default doors, for who starts the daemon without a settings file."""
        self._name = name
        self._cls = cls
        self._arguments = arguments
        self._door_names = door_names

    def read(self) -> T:
        """Return the settings as they are now, with all prepared that they need; SettingsError, OSError."""
        arguments = self._arguments
        settings = load(arguments.config, self._name, self._cls) if arguments.config else self._cls()
        known = {each.name for each in fields(settings)}
        given = {name: value for name, value in vars(arguments).items() if name in known and value is not None}
        settings = replace(settings, **given)
        settings.prepare()
        for warning in settings.warnings():
            log.warning("settings.warning", warning=warning)
        return settings

    def doors(self, settings: ServerSettings) -> list[Door]:
        """Return the doors to open."""
        doors, arguments = settings.open_doors(), self._arguments
        if arguments.config is not None:
            return doors
        doors = [replace(door, name=name) for door, name in zip(doors, self._door_names, strict=True)]
        ports = iter((arguments.http, arguments.https))
        return [door if door.path is not None else _moved(door, arguments.host, next(ports)) for door in doors]

    async def reload(self, reopen: Callable[[Sequence[Door]], Awaitable[None]]) -> None:
        """Read the settings again and open the doors of now; what is wrong is logged and changes nothing."""
        try:
            settings = await asyncio.to_thread(self.read)
            await reopen(self.doors(settings))
        except SettingsError as error:
            for problem in error.problems:
                log.error("settings.wrong", problem=str(problem))
        except (OSError, ValueError) as error:
            log.error("settings.not_taken", reason=str(error))
        else:
            log.info("settings.read_again")


def _moved(door: Door, host: str | None, port: int | None) -> Door:
    return replace(door, host=host or door.host, port=door.port if port is None else port)
