"""The CIM server as a whole: providers behind a broker, behind CIM-XML, behind doors."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from cim_provider import Authenticator
from netserve.doors import Door
from netserve.server import HttpServer
from pycimom.broker import Broker, Registration
from pycimom.cimom import Cimom
from pycimom.cimxml.writing import Writer
from pycimom.enumerations import Enumerations
from pycimom.fragments import Fragments
from pycimom.http_binding import CimXmlHandler
from pycimom.intrinsic import Services
from pycimom.repository import Repository
from pycimom.schema_operations import SchemaOperations

__all__ = ["CimServer", "Registration", "Settings"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Settings:
    """What a CIM server is told. Sizes in bytes, times in seconds."""

    repository: Repository
    doors: Sequence[Door]
    host: str = field(default_factory=socket.gethostname)
    """The name of this server in instance paths."""
    realm: str = "pycimom"
    """What the client is told that its user name and password are for."""
    fragment_budget: int = 256 * 1024 * 1024
    """How much encoded XML is kept."""
    enumerations: int = 1000
    """How many pulled enumerations may be open."""
    enumeration_timeout: int = 60
    """How long one survives between two pulls, if the client does not say."""
    longest_enumeration_timeout: int = 600


class CimServer:
    """Serves providers over CIM-XML."""

    def __init__(self, settings: Settings, registrations: Sequence[Registration], authenticator: Authenticator) -> None:
        self.broker = Broker(settings.repository, registrations)
        """For services of the server itself, which are registered with it before start."""
        writer = Writer(settings.repository)
        fragments = Fragments(writer, settings.host, settings.fragment_budget)
        self._enumerations = Enumerations(
            fragments, settings.enumerations, settings.enumeration_timeout, settings.longest_enumeration_timeout
        )
        schema = SchemaOperations(settings.repository, settings.host)
        services = Services(self.broker, writer, fragments, self._enumerations, schema)
        handler = CimXmlHandler(Cimom(services), authenticator, settings.realm)
        self._http = HttpServer(handler, settings.doors)

    @property
    def doors(self) -> Sequence[Door]:
        """The doors with the ports that they really have."""
        return self._http.doors

    async def start(self) -> None:
        """Start the providers, then open the doors. DoorError if a door cannot be opened."""
        await self.broker.start()
        try:
            await self._http.start()
        except BaseException:
            await self.broker.stop()
            raise
        log.info("serving", doors=[each.url for each in self.doors])

    async def stop(self, grace: float = 5.0) -> None:
        """Close the doors after answering what is under way, then stop the providers."""
        await self._http.close(grace)
        self._enumerations.close_all()
        await self.broker.stop(grace)
