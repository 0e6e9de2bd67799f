"""The CIM server as a whole: providers behind a broker, behind CIM-XML, behind doors."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from cim_provider import Authenticator
from netserve.doors import Door
from netserve.server import HttpServer
from pycimom.broker import Broker, Registration
from pycimom.cimom import Cimom
from pycimom.cimxml.requests import DEPTH, ELEMENTS
from pycimom.cimxml.writing import Writer
from pycimom.enumerations import EnumerationLimits, Enumerations
from pycimom.fragments import Fragments
from pycimom.http_binding import CimXmlHandler
from pycimom.indications.delivery import DeliverySettings
from pycimom.indications.description import Offers
from pycimom.indications.destinations import DestinationPolicy
from pycimom.indications.service import IndicationService, IndicationSettings
from pycimom.instance_store import InstanceStore, lock_folder
from pycimom.interop import InteropProvider, ServerIdentity
from pycimom.intrinsic import Services
from pycimom.profiles import ProfileMirror
from pycimom.repository import NamespaceClasses, Repository
from pycimom.repository_cache import INTEROP_NAMESPACE
from pycimom.schema_operations import SchemaOperations
from pycimom.static import UnservedInstances
from pycimom.statistics import Statistics

__all__ = ["CimServer", "Registration", "Settings"]

STORE = "instances.sqlite"
"""The file in the state folder that keeps what clients created."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Settings:
    """What a CIM server is told. Sizes in bytes, times in seconds."""

    repository: Repository
    doors: Sequence[Door]
    host: str = field(default_factory=socket.gethostname)
    """The name of this server, in instance paths and as the system of its own services."""
    version: str = "0.1.0"
    state: Path | None = None
    """The folder, made if needed, of what clients create beside the providers: subscriptions, static instances, classes
    and namespaces. Without it they can create no instances, and classes are gone with the server."""
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    destinations: DestinationPolicy = field(default_factory=DestinationPolicy)
    may_read: Callable[[str], Awaitable[bool]] | None = None
    """Says whether a user who made subscriptions still may read what they tell; None: everybody may."""
    realm: str = "pycimom"
    """What the client is told that its user name and password are for."""
    fragment_budget: int = 256 * 1024 * 1024
    """How much encoded XML is kept."""
    enumerations: int = 1000
    """How many pulled enumerations may be open."""
    enumeration_timeout: int = 60
    """How long one survives between two pulls, if the client does not say."""
    longest_enumeration_timeout: int = 600
    enumerations_of_user: int = 100
    """How many of the open enumerations may be one user's."""
    enumeration_batch: int = 10_000
    """How many objects an Open or a Pull gives at most, whatever MaxObjectCount says."""
    provider_limit: float = 60.0
    """How long a provider may take for one call."""
    indication_filters: int = 1000
    indication_destinations: int = 100
    subscriptions: int = 1000
    """How many there may be; half of them may be one user's, unless that is an administrator."""
    nesting: int = DEPTH
    """How deeply the elements of a message may be nested."""
    elements: int = ELEMENTS
    """How many elements a message may have, about."""
    gzip: bool = False
    """Whether answers are compressed for clients that accept it."""


class CimServer:
    """Serves providers over CIM-XML."""

    def __init__(self, settings: Settings, registrations: Sequence[Registration], authenticator: Authenticator) -> None:
        self.broker = Broker(settings.repository, registrations, settings.provider_limit)
        self._statistics = Statistics()
        self._lock: int | None = None
        self._store = self._open_store(settings)
        self._register_own(settings)
        writer = Writer(settings.repository)
        fragments = Fragments(writer, settings.host, settings.fragment_budget)
        self._enumerations = Enumerations(
            fragments,
            EnumerationLimits(
                settings.enumerations,
                settings.enumerations_of_user,
                settings.enumeration_timeout,
                settings.longest_enumeration_timeout,
                settings.enumeration_batch,
            ),
        )
        schema = SchemaOperations(settings.repository, settings.host)
        services = Services(self.broker, writer, fragments, self._enumerations, schema)
        handler = CimXmlHandler(
            Cimom(services),
            authenticator,
            settings.realm,
            self._statistics,
            gzip=settings.gzip,
            nesting=settings.nesting,
            elements=settings.elements,
        )
        self._http = HttpServer(handler, settings.doors)

    def _open_store(self, settings: Settings) -> InstanceStore | None:
        """Open what the state folder keeps, and bring classes and namespaces to where the last run left them."""
        if settings.state is None:
            return None
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = lock_folder(settings.state)
        store = InstanceStore(settings.state / STORE)
        store.restore(settings.repository)
        return store

    def _register_own(self, settings: Settings) -> None:
        """Register what the server itself provides, if the repository has a namespace for it."""
        repository = settings.repository
        if self._store is not None:
            self.broker.fall_back(partial(_keep_unserved, self.broker, self._store))
        if INTEROP_NAMESPACE not in repository.namespaces():
            return
        mirrors = [
            mirror
            for each in self.broker.registrations
            for home in each.namespaces
            if home != INTEROP_NAMESPACE
            and (mirror := ProfileMirror(each.provider, repository, home, INTEROP_NAMESPACE)).declarations
        ]
        for mirror in mirrors:
            self.broker.register(Registration(mirror, (INTEROP_NAMESPACE,)))
        service = None
        if self._store is not None:
            indications = IndicationService(
                repository,
                self._store,
                IndicationSettings(
                    settings.host,
                    INTEROP_NAMESPACE,
                    delivery=settings.delivery,
                    policy=settings.destinations,
                    max_filters=settings.indication_filters,
                    max_destinations=settings.indication_destinations,
                    max_subscriptions=settings.subscriptions,
                    may_read=settings.may_read,
                    offers=_offers(self.broker.registrations),
                ),
            )
            indications.connect(self.broker)
            self.broker.register(Registration(indications, (INTEROP_NAMESPACE,)))
            service = indications.name
        identity = ServerIdentity(settings.host, settings.version, INTEROP_NAMESPACE)
        interop = InteropProvider(repository, identity, service, self._statistics, mirrors)
        self.broker.register(Registration(interop, (INTEROP_NAMESPACE,)))
        for home in dict.fromkeys(mirror.home for mirror in mirrors):
            own = ProfileMirror(interop, repository, INTEROP_NAMESPACE, home)
            self.broker.register(Registration(own, (home,)))

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

    async def reopen(self, doors: Sequence[Door]) -> None:
        """Open and close doors until there are just these; a door that stays the same keeps its connections.

        DoorError if one cannot be opened; then all is as it was before.
        """
        await self._http.reconfigure(doors)

    async def stop(self, grace: float = 5.0) -> None:
        """Close the doors after answering what is under way, then stop the providers."""
        self._enumerations.close_all()
        await self._http.close(grace)
        await self.broker.stop(grace)
        if self._store is not None:
            self._store.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _offers(registrations: Sequence[Registration]) -> Offers:
    """Return the collections of filters that providers want offered, by namespace."""
    offers: dict[str, dict[str, Collection[str]]] = {}
    for each in registrations:
        for namespace in each.namespaces if each.provider.filter_collections else ():
            offers.setdefault(namespace, {}).update(each.provider.filter_collections)
    return offers


def _keep_unserved(broker: Broker, store: InstanceStore, namespace: str) -> UnservedInstances:
    classes = NamespaceClasses(broker.repository, namespace)
    return UnservedInstances(classes, store, partial(broker.is_served, namespace))
