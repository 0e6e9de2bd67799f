"""The indication service: takes filters, destinations and subscriptions from clients, and serves them (DSP1054).

They live in the interop namespace only. A filter's SourceNamespaces say where its indications come from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

import structlog

from cim_provider import CimError, Context, Indication, Instance, InstanceName, Status, Value
from pycimom.indications import rules
from pycimom.indications.delivery import DeliverySettings, DestinationQueue, Sleep
from pycimom.indications.destinations import DestinationPolicy
from pycimom.indications.export import ExportEncoder
from pycimom.instance_store import InstanceStore, Origin
from pycimom.query import Query
from pycimom.repository import NamespaceClasses, Repository
from pycimom.static import StaticProvider

SERVICE = "CIM_IndicationService"
CAPABILITIES = "CIM_IndicationServiceCapabilities"
ELEMENT_CAPABILITIES = "CIM_ElementCapabilities"

_SETTABLE = frozenset(
    name.lower() for name in ("SubscriptionState", "OnFatalErrorPolicy", "RepeatNotificationPolicy", "SubscriptionInfo")
)
_log = structlog.get_logger(__name__)


class IndicationSource(Protocol):
    """Where indications come from; the broker is one."""

    def watch(self, namespace: str, indication_class: str, sink: Callable[[Indication], None]) -> Callable[[], None]:
        """Call ``sink`` for each indication of a class and its subclasses, on this loop; the result ends that."""


@dataclass(frozen=True)
class IndicationSettings:
    """How the service is set up. ``system_name`` is the key SystemName of all that it keeps."""

    system_name: str
    namespace: str = "root/interop"
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    policy: DestinationPolicy = field(default_factory=DestinationPolicy)
    max_filters: int = 1000
    max_destinations: int = 100
    max_subscriptions: int = 1000
    """How many instances there may be; half of them may be one user's, unless that is an administrator."""
    removal_interval: int = 30 * 24 * 3600
    """SubscriptionRemovalTimeInterval, in seconds."""


class IndicationService(StaticProvider):
    """Provider of filters, destinations, subscriptions, and of the service's own description."""

    def __init__(
        self,
        repository: Repository,
        store: InstanceStore,
        settings: IndicationSettings,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        classes = NamespaceClasses(repository, settings.namespace)
        names = [rules.FILTER, *rules.DESTINATIONS, rules.SUBSCRIPTION, SERVICE, CAPABILITIES, ELEMENT_CAPABILITIES]
        super().__init__(classes, names, store, _description(settings))
        self._repository = repository
        self._settings = settings
        self._sleep = sleep
        self._encoder = ExportEncoder(repository)
        self._source: IndicationSource | None = None
        self._run_id = uuid4()
        self._queues: dict[Any, DestinationQueue] = {}
        """By the identity of the destination."""
        self._watches: dict[Any, list[Callable[[], None]]] = {}
        """What ends each active subscription, by its identity."""
        self._expiries: dict[Any, asyncio.Task[None]] = {}
        """What deletes the subscriptions that last only so long, by identity."""

    @property
    def name(self) -> InstanceName | None:
        """The name of the service itself."""
        return self.view().instances(SERVICE)[0].name

    def connect(self, source: IndicationSource) -> None:
        """Say where indications come from. To be called once, before start."""
        self._source = source

    async def start(self) -> None:
        """Read what clients created, and serve the subscriptions that are enabled."""
        await super().start()
        for subscription in self.view().instances(rules.SUBSCRIPTION):
            try:
                self._activate(subscription)
            except CimError as error:
                _log.warning("subscription_not_served", name=str(subscription.name), reason=error.description)

    async def stop(self) -> None:
        """End all subscriptions and deliveries."""
        for identity in [*self._watches, *self._expiries]:
            self._deactivate(identity)
        queues = list(self._queues.values())
        self._queues.clear()
        await asyncio.gather(*(each.close() for each in queues))

    async def create_instance(self, context: Context, instance: Instance) -> InstanceName:
        """Create a filter, a destination or a subscription."""
        kind = self._classes.get(instance.class_name).name
        async with self._writing:
            if kind == rules.FILTER:
                self._check_limit(context, (kind,), self._settings.max_filters)
                made = self._new_filter(instance)
            elif kind in rules.DESTINATIONS:
                self._check_limit(context, rules.DESTINATIONS, self._settings.max_destinations)
                made = self._new_destination(instance, kind)
            elif kind == rules.SUBSCRIPTION:
                self._check_limit(context, (kind,), self._settings.max_subscriptions)
                made = self._new_subscription(instance)
            else:
                raise CimError(Status.NOT_SUPPORTED, f"Instances of {kind} cannot be created.")
            name = made.name
            if name is None or self.view().instance(name) is not None:
                raise CimError(Status.ALREADY_EXISTS, f"The instance {name} already exists.")
            origin = Origin(context.principal.name, context.peer)
            if kind in rules.DESTINATIONS:
                # What is kept is the address that was permitted, so that delivery can go nowhere else.
                address = await self._settings.policy.permit(str(made.get("Destination")), context.peer)
                origin = Origin(context.principal.name, address)
            await self.keep(made, origin)
            if kind == rules.SUBSCRIPTION:
                try:
                    self._activate(made)
                except CimError:
                    self._deactivate(name.identity)
                    await self.forget(made)
                    raise
            return name

    async def modify_instance(
        self, context: Context, name: InstanceName, changes: Mapping[str, Value], property_list: Collection[str] | None
    ) -> None:
        """Change a subscription, above all to enable or disable it; filters and destinations stay as they are."""
        async with self._writing:
            existing = self._own(context, name)
            changed = self.changed(existing, changes, property_list)
            different = {
                key
                for key in {*existing.properties, *changed.properties}
                if existing.properties.get(key) != changed.properties.get(key)
            }
            if existing.class_name != rules.SUBSCRIPTION and different:
                raise CimError(Status.NOT_SUPPORTED, f"Instances of {existing.class_name} cannot be modified.")
            if unsettable := [key for key in different if key.lower() not in _SETTABLE]:
                raise CimError(Status.NOT_SUPPORTED, f"{', '.join(sorted(unsettable))} cannot be modified.")
            rules.check_state(changed.get("SubscriptionState"))
            origin = self.origin(name)
            if not different or origin is None:
                return
            await self.keep(changed, origin)
            self._deactivate(name.identity)
            self._activate(changed)

    async def delete_instance(self, context: Context, name: InstanceName) -> None:
        """Delete a subscription, or a filter or destination that no subscription uses (FAILED otherwise).

        A transient destination outlives its last subscription: clients such as pywbem delete it themselves and take
        it for an error if it is gone.
        """
        async with self._writing:
            existing = self._own(context, name)
            if self.view().references(rules.SUBSCRIPTION, name):
                raise CimError(Status.FAILED, f"{name} is used by a subscription; delete that first.")
            await self.forget(existing)
            self._deactivate(name.identity)
            await self._close_queue(name)

    def _own(self, context: Context, name: InstanceName) -> Instance:
        """Return an instance that the principal may change: one of their own, or any for administrators."""
        existing = self.existing(name)
        origin = self.origin(name)
        if origin is None or origin.owner != context.principal.name:
            context.require_administrator()
        return existing

    def _new_filter(self, instance: Instance) -> Instance:
        made = self.named(rules.with_keys(instance, rules.FILTER, self._settings.system_name))
        rules.compile_filter_queries(made, self._repository)
        return made

    def _new_destination(self, instance: Instance, kind: str) -> Instance:
        keyed = rules.with_keys(instance, kind, self._settings.system_name)
        made = self.named(rules.with_defaults(keyed, rules.DESTINATION_DEFAULTS))
        rules.check_destination(made)
        return made

    def _new_subscription(self, instance: Instance) -> Instance:
        ends: dict[str, Value] = {}
        for role, wanted in (("Filter", (rules.FILTER,)), ("Handler", rules.DESTINATIONS)):
            end = rules.reference(instance, role)
            is_here = (end.namespace or self._settings.namespace).lower() == self._settings.namespace.lower()
            target = self.view().instance(end) if is_here else None
            if target is None or target.class_name not in wanted:
                raise CimError(Status.INVALID_PARAMETER, f"{role} refers to {end}, which does not exist.")
            ends[role] = target.name
        others = {
            name: value for name, value in instance.properties.items() if name.lower() not in ("filter", "handler")
        }
        return self.named(rules.new_subscription(Instance(rules.SUBSCRIPTION, {**others, **ends})))

    def _check_limit(self, context: Context, class_names: Collection[str], most: int) -> None:
        kinds, user = " and ".join(class_names), context.principal
        origins = [self.origin(each.name) for kind in class_names for each in self.view().instances(kind) if each.name]
        if len(origins) >= most:
            raise CimError(Status.FAILED, f"There are already {most} instances of {kinds}.")
        share = max(1, most // 2)
        if not user.may_administer and sum(each is not None and each.owner == user.name for each in origins) >= share:
            raise CimError(Status.FAILED, f"{user.name} has already {share} instances of {kinds}.")

    def _activate(self, subscription: Instance) -> None:
        """Begin to serve a subscription if it is enabled, and to wait for its end if it has one."""
        self._expire(subscription)
        if subscription.name is None or subscription.get("SubscriptionState") != rules.ENABLED:
            return
        if self._source is None:
            raise CimError(Status.FAILED, "The indication service is not connected to a source of indications.")
        chosen = self.view().instance(rules.reference(subscription, "Filter"))
        destination = self.view().instance(rules.reference(subscription, "Handler"))
        if chosen is None or destination is None:
            raise CimError(Status.FAILED, "The filter or the destination is gone.")
        queue = self._queue(destination)
        filter_name = str(chosen.get("Name"))
        stops: list[Callable[[], None]] = []
        self._watches[subscription.name.identity] = stops
        for namespace, query in rules.compile_filter_queries(chosen, self._repository).items():
            sink = self._sink(namespace, query, filter_name, queue)
            stops.append(self._source.watch(namespace, query.class_name, sink))

    def _expire(self, subscription: Instance) -> None:
        """Delete a subscription when its SubscriptionDuration is over."""
        name = subscription.name
        begun, duration = subscription.get("SubscriptionStartTime"), subscription.get("SubscriptionDuration")
        if name is None or not isinstance(duration, int) or not isinstance(begun, datetime):
            return
        left = max(0.0, duration - (datetime.now(UTC) - begun).total_seconds())

        async def expire() -> None:
            await self._sleep(left)
            async with self._writing:
                del self._expiries[name.identity]
                await self.forget(subscription)
                self._deactivate(name.identity)
            _log.info("subscription_expired", name=str(name))

        self._expiries[name.identity] = asyncio.create_task(expire(), name=f"expiry of {name}")

    def _deactivate(self, identity: Any) -> None:
        expiry = self._expiries.pop(identity, None)
        if expiry is not None:
            expiry.cancel()
        for stop in self._watches.pop(identity, ()):
            stop()

    def _sink(
        self, namespace: str, query: Query, filter_name: str, queue: DestinationQueue
    ) -> Callable[[Indication], None]:
        def sink(indication: Indication) -> None:
            try:
                if query.matches(indication.instance):
                    text = self._encoder.instance(indication.instance, namespace, query.properties)
                    queue.put(text, filter_name, self._encoder.has_sequence(namespace, indication.class_name))
            except Exception:
                # A wrong indication must not stop the provider that raised it, nor the other subscriptions.
                _log.exception("indication_not_queued", indication_class=indication.class_name, filter=filter_name)

        return sink

    def _queue(self, destination: Instance) -> DestinationQueue:
        if destination.name is None:
            raise ValueError("a destination has a name")
        identity = destination.name.identity
        if identity not in self._queues:
            origin = self.origin(destination.name)
            self._queues[identity] = DestinationQueue(
                str(destination.get("Destination")),
                origin.peer if origin else None,
                f"xen-cim:{self._run_id}:{uuid4()}",
                self._settings.delivery,
                self._sleep,
            )
        return self._queues[identity]

    async def _close_queue(self, destination: InstanceName) -> None:
        queue = self._queues.pop(destination.identity, None)
        if queue is not None:
            await queue.close()


def _description(settings: IndicationSettings) -> list[Instance]:
    """Return the instances that tell clients what the service is and can."""
    service_keys: dict[str, Value] = {
        "SystemCreationClassName": rules.SYSTEM_CLASS,
        "SystemName": settings.system_name,
        "CreationClassName": SERVICE,
        "Name": "xen-cim:indications",
    }
    service = _instance(
        SERVICE,
        service_keys,
        settings.namespace,
        ElementName="Indication service",
        FilterCreationEnabled=True,
        DeliveryRetryAttempts=settings.delivery.retry_attempts,
        DeliveryRetryInterval=round(settings.delivery.retry_interval),
        SubscriptionRemovalAction=4,  # a destination that does not answer keeps its subscriptions
        SubscriptionRemovalTimeInterval=settings.removal_interval,
        EnabledState=2,
        RequestedState=12,
        Started=True,
    )
    capabilities = _instance(
        CAPABILITIES,
        {"InstanceID": "xen-cim:indication-service-capabilities"},
        settings.namespace,
        ElementName="Indication service capabilities",
        FilterCreationEnabledIsSettable=False,
        DeliveryRetryAttemptsIsSettable=False,
        DeliveryRetryIntervalIsSettable=False,
        SubscriptionRemovalActionIsSettable=False,
        SubscriptionRemovalTimeIntervalIsSettable=False,
        MaxListenerDestinations=settings.max_destinations,
        MaxActiveSubscriptions=settings.max_subscriptions,
        SubscriptionsPersisted=True,
    )
    link = _instance(
        ELEMENT_CAPABILITIES,
        {"ManagedElement": service.name, "Capabilities": capabilities.name},
        settings.namespace,
    )
    return [service, capabilities, link]


def _instance(class_name: str, keys: Mapping[str, Value], namespace: str, **others: Value) -> Instance:
    name = InstanceName(class_name, tuple(keys.items()), namespace)  # type: ignore[arg-type]  # keys are never NULL
    return Instance(class_name, {**keys, **others}, name)
