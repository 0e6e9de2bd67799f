"""The indication service: takes filters, destinations and subscriptions from clients, and serves them (DSP1054).

They live in the interop namespace only. A filter's SourceNamespaces say where its indications come from.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol
from uuid import uuid4

import structlog

from cim_provider import CimError, Context, Indication, Instance, InstanceName, Status, Value
from pycimom.indications import description, rules
from pycimom.indications.backlog import Backlog
from pycimom.indications.delivery import DeliverySettings, DestinationQueue, Sleep, Target
from pycimom.indications.description import IGNORE, LIMITS, REMOVE, SERVICE, Description, Offers, Policy
from pycimom.indications.destinations import DestinationPolicy
from pycimom.indications.export import ExportEncoder
from pycimom.instance_store import InstanceStore, Origin
from pycimom.query import Query
from pycimom.repository import NamespaceClasses, Repository
from pycimom.static import StaticProvider

_SETTABLE = frozenset(
    name.lower() for name in ("SubscriptionState", "OnFatalErrorPolicy", "RepeatNotificationPolicy", "SubscriptionInfo")
)
_OWNERS_CHECKED = 60.0
"""Seconds after which it is asked again whether the owners of subscriptions still may read."""
_MOST_MEMBERS = 32
"""How many filters a client's collection may have: each costs every subscription to it."""
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
    may_read: Callable[[str], Awaitable[bool]] | None = None
    """Says whether the owner of subscriptions still may read; None: everybody may."""
    offers: Offers = field(default_factory=dict)
    """The filters that there are already, in collections."""


@dataclass
class _Watch:
    """A filter that is served for a subscription: the namespaces and classes, the sink of each, and what ends it."""

    sinks: list[tuple[str, str, Callable[[Indication], None]]] = field(default_factory=list)
    stops: list[Callable[[], None]] = field(default_factory=list)

    def end(self) -> None:
        for stop in self.stops:
            stop()


class IndicationService(StaticProvider):
    """Provider of filters, destinations, subscriptions, and of the service's own description."""

    def __init__(
        self,
        repository: Repository,
        store: InstanceStore,
        settings: IndicationSettings,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        classes = NamespaceClasses(repository, settings.namespace)
        self._description = Description(settings.system_name, settings.namespace)
        self._configured = self._policy = Policy.of(settings.delivery)
        fixed = [
            self._description.service(self._policy),
            *self._description.capabilities(settings.max_destinations, settings.max_subscriptions),
            *self._description.offered(settings.offers),
        ]
        names = [*rules.KINDS, *description.CLASSES]
        super().__init__(classes, names, store, fixed)
        self._repository = repository
        self._settings = settings
        self._sleep = sleep
        self._clock = clock
        self._encoder = ExportEncoder(repository)
        self._backlog = Backlog(store, settings.namespace)
        self._source: IndicationSource | None = None
        self._run_id = uuid4()
        self._queues: dict[Any, DestinationQueue] = {}
        """By the identity of the destination."""
        self._watches: dict[Any, dict[Any, _Watch]] = {}
        """Of each active subscription, by its identity and that of the filter."""
        self._expiries: dict[Any, asyncio.Task[None]] = {}
        """What deletes the subscriptions that last only so long, by identity."""
        self._ending: dict[Any, asyncio.Task[None]] = {}
        """What ends the subscriptions of destinations that do not answer, by the destination's identity."""
        self._owners: asyncio.Task[None] | None = None

    @property
    def name(self) -> InstanceName | None:
        """The name of the service itself."""
        return self.view().instances(SERVICE)[0].name

    def connect(self, source: IndicationSource) -> None:
        """Say where indications come from. To be called once, before start."""
        self._source = source

    async def start(self) -> None:
        """Read what clients created and what waits for them, and serve the subscriptions that are enabled."""
        await super().start()
        self._restore_policy()
        managed = [each for kind in rules.MANAGED for each in self.view().instances(kind)]
        self._view = self._view.replaced([self._description.affects(each) for each in managed])
        for name, waiting in (await self._backlog.load()).items():
            destination = self.view().instance(name)
            if destination is None:
                for number, _ in waiting:
                    self._backlog.remove(number)
            else:
                self._queue(destination).resume(waiting)
        for kind in rules.SUBSCRIPTIONS:
            for subscription in self.view().instances(kind):
                try:
                    self._activate(subscription)
                except CimError as error:
                    _log.warning("subscription_not_served", name=str(subscription.name), reason=error.description)
        self._tell_of_start()
        if self._settings.may_read is not None:
            self._owners = asyncio.create_task(self._watch_owners(self._settings.may_read), name="owners")

    async def stop(self) -> None:
        """End all subscriptions and deliveries; what waits is kept."""
        for identity in [*self._watches, *self._expiries]:
            self._deactivate(identity)
        tasks = [*self._ending.values(), *([self._owners] if self._owners is not None else ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        queues = list(self._queues.values())
        self._queues.clear()
        await asyncio.gather(*(each.close() for each in queues))
        await self._backlog.flush()

    async def create_instance(self, context: Context, instance: Instance) -> InstanceName:
        """Create a filter, a collection of filters or a member of one, a destination, or a subscription."""
        kind = self._classes.get(instance.class_name).name
        async with self._writing:
            made = self._new(context, instance, kind)
            name = made.name
            if name is None or self.view().instance(name) is not None:
                raise CimError(Status.ALREADY_EXISTS, f"The instance {name} already exists.")
            origin = Origin(context.principal.name, context.peer)
            if kind in rules.DESTINATIONS:
                # What is kept is the address that was permitted, so that delivery can go nowhere else.
                address = await self._settings.policy.permit(str(made.get("Destination")), context.peer)
                origin = Origin(context.principal.name, address)
            await self.keep(made, origin)
            try:
                self._follow(made)
            except CimError:
                await self._forget(made)
                raise
            return name

    async def modify_instance(
        self, context: Context, name: InstanceName, changes: Mapping[str, Value], property_list: Collection[str] | None
    ) -> None:
        """Change a subscription, above all to enable or disable it, or the service; nothing else can be changed."""
        async with self._writing:
            if self._is_service(name):
                await self._modify_service(context, changes, property_list)
                return
            existing = self._own(context, name)
            changed = self.changed(existing, changes, property_list)
            different = _differences(existing, changed)
            if existing.class_name not in rules.SUBSCRIPTIONS and different:
                raise CimError(Status.NOT_SUPPORTED, f"Instances of {existing.class_name} cannot be modified.")
            if unsettable := [key for key in different if key.lower() not in _SETTABLE]:
                raise CimError(Status.NOT_SUPPORTED, f"{', '.join(sorted(unsettable))} cannot be modified.")
            rules.check_subscription(changed)
            if not different:
                return
            if "SubscriptionState" in different:
                changed = rules.in_state(changed, different["SubscriptionState"])
            await self._replace_subscription(changed)

    async def delete_instance(self, context: Context, name: InstanceName) -> None:
        """Delete what no subscription, and no collection of filters, uses (FAILED otherwise).

        A transient destination outlives its last subscription: clients such as pywbem delete it themselves and take
        it for an error if it is gone.
        """
        async with self._writing:
            existing = self._own(context, name)
            if any(self.view().references(each, name) for each in rules.SUBSCRIPTIONS):
                raise CimError(Status.FAILED, f"{name} is used by a subscription; delete that first.")
            members = self.view().references(rules.MEMBER, name)
            if members and existing.class_name != rules.COLLECTION:
                raise CimError(Status.FAILED, f"{name} is a member of a collection; take it out first.")
            await self._forget(existing, *members)
            queue = self._queues.pop(name.identity, None)
            if queue is not None:
                await queue.drop()

    async def _forget(self, *instances: Instance) -> None:
        """Delete instances, and end what followed from them."""
        links = [each for one in instances for each in self.view().references(description.AFFECTED, _name(one))]
        await self.forget(*instances)
        self._view = self._view.replaced([], [_name(each) for each in links])
        for each in instances:
            self._deactivate(_name(each).identity)
            if each.class_name == rules.MEMBER:
                self._reactivate(rules.reference(each, "Collection"))

    def _follow(self, made: Instance) -> None:
        """Begin what follows from a new instance."""
        if made.class_name in rules.SUBSCRIPTIONS:
            self._activate(made)
        elif made.class_name == rules.MEMBER:
            self._reactivate(rules.reference(made, "Collection"))
        else:
            self._view = self._view.replaced([self._description.affects(made)])

    def _own(self, context: Context, name: InstanceName) -> Instance:
        """Return an instance that the principal may change: one of their own, or any for administrators."""
        existing = self.existing(name)
        origin = self.origin(name)
        if origin is None or origin.owner != context.principal.name:
            context.require_administrator()
        return existing

    def _is_service(self, name: InstanceName) -> bool:
        return self.name is not None and name.identity == self.name.identity

    async def _modify_service(
        self, context: Context, changes: Mapping[str, Value], property_list: Collection[str] | None
    ) -> None:
        context.require_administrator()
        (existing,) = self.view().instances(SERVICE)
        name = _name(existing)
        policy = self._policy.changed(_differences(existing, self.changed(existing, changes, property_list)))
        # Only what differs from the settings is kept, so that what is changed there later holds.
        kept = {
            each: getattr(policy, each) for each in LIMITS if getattr(policy, each) != getattr(self._configured, each)
        }
        await self.keep(
            Instance(SERVICE, {**dict(name.keys), **kept}, name), Origin(context.principal.name, context.peer)
        )
        self._apply(policy)

    def _apply(self, policy: Policy) -> None:
        self._policy = policy
        self._view = self._view.replaced([self._description.service(policy)])

    def _restore_policy(self) -> None:
        """Bring back what administrators changed of the service in a run before."""
        (kept,) = self.view().instances(SERVICE)
        if self.origin(_name(kept)) is not None:
            given: dict[str, Any] = {each: kept.get(each) for each in LIMITS if kept.get(each) is not None}
            self._apply(replace(self._configured, **given))

    def _new(self, context: Context, instance: Instance, kind: str) -> Instance:
        """Return what a client wants to create, checked and complete."""
        if kind in (rules.FILTER, rules.COLLECTION, rules.MEMBER) and not self._policy.FilterCreationEnabled:
            raise CimError(Status.NOT_SUPPORTED, "The indication service does not take filters of clients at present.")
        if kind in rules.DESTINATIONS:
            self._check_limit(context, rules.DESTINATIONS, self._settings.max_destinations)
            return self._new_destination(instance, kind)
        if kind in rules.SUBSCRIPTIONS:
            self._check_limit(context, rules.SUBSCRIPTIONS, self._settings.max_subscriptions)
            return self._new_subscription(instance, kind)
        make = {rules.FILTER: self._new_filter, rules.COLLECTION: self._new_collection}.get(kind)
        if kind == rules.MEMBER:
            make = partial(self._new_member, context)
        if make is None:
            raise CimError(Status.NOT_SUPPORTED, f"Instances of {kind} cannot be created.")
        self._check_limit(context, (kind,), self._settings.max_filters)
        return make(instance)

    def _new_filter(self, instance: Instance) -> Instance:
        made = self.named(rules.with_keys(instance, rules.FILTER, self._settings.system_name))
        rules.compile_filter_queries(made, self._repository)
        return made

    def _new_destination(self, instance: Instance, kind: str) -> Instance:
        keyed = rules.with_keys(instance, kind, self._settings.system_name)
        made = self.named(rules.with_defaults(keyed, rules.DESTINATION_DEFAULTS))
        rules.check_destination(made)
        return made

    def _new_collection(self, instance: Instance) -> Instance:
        return self.named(rules.with_identifier(instance))

    def _new_member(self, context: Context, instance: Instance) -> Instance:
        made = self._joining(instance, rules.MEMBER, {"Collection": (rules.COLLECTION,), "Member": (rules.FILTER,)})
        collection = rules.reference(made, "Collection")
        self._own(context, collection)
        if len(self.view().references(rules.MEMBER, collection, "Collection")) >= _MOST_MEMBERS:
            raise CimError(Status.FAILED, f"{collection} has already {_MOST_MEMBERS} members.")
        return self.named(made)

    def _new_subscription(self, instance: Instance, kind: str) -> Instance:
        wanted = (rules.COLLECTION,) if kind == rules.COLLECTION_SUBSCRIPTION else (rules.FILTER,)
        made = self._joining(instance, kind, {"Filter": wanted, "Handler": rules.DESTINATIONS})
        return self.named(rules.new_subscription(made))

    def _joining(self, instance: Instance, kind: str, roles: Mapping[str, Collection[str]]) -> Instance:
        """Return an association whose ends exist and are of the classes wanted; INVALID_PARAMETER otherwise."""
        ends: dict[str, Value] = {}
        for role, wanted in roles.items():
            end = rules.reference(instance, role)
            is_here = (end.namespace or self._settings.namespace).lower() == self._settings.namespace.lower()
            target = self.view().instance(end) if is_here else None
            if target is None or target.class_name not in wanted:
                raise CimError(Status.INVALID_PARAMETER, f"{role} refers to {end}, which does not exist.")
            ends[role] = target.name
        known = {role.lower() for role in roles}
        others = {name: value for name, value in instance.properties.items() if name.lower() not in known}
        return Instance(kind, {**others, **ends})

    def _check_limit(self, context: Context, class_names: Collection[str], most: int) -> None:
        kinds, user = " and ".join(class_names), context.principal
        known = (self.origin(_name(each)) for kind in class_names for each in self.view().instances(kind))
        origins = [each for each in known if each is not None]  # those that are always there do not count
        if len(origins) >= most:
            raise CimError(Status.FAILED, f"There are already {most} instances of {kinds}.")
        share = max(1, most // 2)
        if not user.may_administer and sum(each.owner == user.name for each in origins) >= share:
            raise CimError(Status.FAILED, f"{user.name} has already {share} instances of {kinds}.")

    def _activate(self, subscription: Instance) -> None:
        """Serve a subscription by the filters that it has now if it is enabled, and wait for its end if it has one."""
        if subscription.name is not None and subscription.name.identity not in self._expiries:
            self._expire(subscription)
        if subscription.name is None or subscription.get("SubscriptionState") != rules.ENABLED:
            return
        if self._source is None:
            raise CimError(Status.FAILED, "The indication service is not connected to a source of indications.")
        chosen = self.view().instance(rules.reference(subscription, "Filter"))
        destination = self.view().instance(rules.reference(subscription, "Handler"))
        if chosen is None or destination is None:
            raise CimError(Status.FAILED, "The filter or the destination is gone.")
        watches = self._watches.setdefault(subscription.name.identity, {})
        filters = {_name(each).identity: each for each in self._filters(chosen)}
        for gone in watches.keys() - filters.keys():
            watches.pop(gone).end()
        for come in filters.keys() - watches.keys():
            watches[come] = self._watch(filters[come], self._queue(destination), self._source)

    def _watch(self, chosen: Instance, queue: DestinationQueue, source: IndicationSource) -> _Watch:
        watch = _Watch()
        for namespace, query in rules.compile_filter_queries(chosen, self._repository).items():
            sink = self._sink(namespace, query, str(chosen.get("Name")), queue)
            watch.sinks.append((namespace, query.class_name, sink))
            watch.stops.append(source.watch(namespace, query.class_name, sink))
        return watch

    def _filters(self, chosen: Instance) -> list[Instance]:
        """Return the filter of a subscription, or those in its collection."""
        if chosen.class_name != rules.COLLECTION:
            return [chosen]
        members = self.view().references(rules.MEMBER, _name(chosen), "Collection")
        found = (self.view().instance(rules.reference(each, "Member")) for each in members)
        return [each for each in found if each is not None]

    def _reactivate(self, collection: InstanceName) -> None:
        """Let the subscriptions to a collection follow a change of its members."""
        for each in self.view().references(rules.COLLECTION_SUBSCRIPTION, collection, "Filter"):
            self._activate(each)

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
                await self._forget(subscription)
            _log.info("subscription_expired", name=str(name))

        self._expiries[name.identity] = asyncio.create_task(expire(), name=f"expiry of {name}")

    def _deactivate(self, identity: Any) -> None:
        expiry = self._expiries.pop(identity, None)
        if expiry is not None:
            expiry.cancel()
        for watch in self._watches.pop(identity, {}).values():
            watch.end()

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
        name = _name(destination)
        if name.identity not in self._queues:
            origin = self.origin(name)
            self._queues[name.identity] = DestinationQueue(
                Target(name, str(destination.get("Destination")), origin.peer if origin else None),
                f"xen-cim:{self._run_id}:{uuid4()}",
                lambda: self._policy.delivery(self._settings.delivery),
                self._backlog,
                partial(self._note_failure, name),
                self._sleep,
                self._clock,
            )
        return self._queues[name.identity]

    def _note_failure(self, destination: InstanceName, seconds: float) -> None:
        """Hear that a destination has not answered for so long."""
        if destination.identity not in self._ending and any(self._overdue(destination, seconds)):
            task = asyncio.create_task(self._end_overdue(destination, seconds), name=f"end of {destination}")
            self._ending[destination.identity] = task

    def _overdue(self, destination: InstanceName, seconds: float) -> Iterator[tuple[Instance, int]]:
        """Yield the subscriptions that end because their destination has not answered for so long, and how."""
        for kind in rules.SUBSCRIPTIONS:
            for each in self.view().references(kind, destination, "Handler"):
                action, limit = self._policy.SubscriptionRemovalAction, self._policy.SubscriptionRemovalTimeInterval
                own = rules.FATAL_ERROR_ACTIONS.get(each.get("OnFatalErrorPolicy"))
                if own is not None:
                    interval = each.get("FailureTriggerTimeInterval")
                    action, limit = own, interval if isinstance(interval, int) else limit
                if action != IGNORE and seconds >= limit and each.get("SubscriptionState") == rules.ENABLED:
                    yield each, action

    async def _end_overdue(self, destination: InstanceName, seconds: float) -> None:
        try:
            async with self._writing:
                for each, action in list(self._overdue(destination, seconds)):
                    _log.warning("subscription_ended", name=str(each.name), reason=f"no answer for {seconds:.0f} s")
                    if action == REMOVE:
                        await self._forget(each)
                    else:
                        await self._replace_subscription(rules.in_state(each, rules.DISABLED))
                await self._drop_unused(destination)
        finally:
            del self._ending[destination.identity]

    async def _drop_unused(self, destination: InstanceName) -> None:
        """Forget what waits for a destination that no subscription uses any longer."""
        left = (each for kind in rules.SUBSCRIPTIONS for each in self.view().references(kind, destination, "Handler"))
        if not any(_name(each).identity in self._watches for each in left):
            queue = self._queues.pop(destination.identity, None)
            if queue is not None:
                await queue.drop()

    async def _watch_owners(self, may_read: Callable[[str], Awaitable[bool]]) -> None:
        """Disable the subscriptions of those who may no longer read: so it is said twice, with a while between."""
        doubtful: set[str] = set()
        while True:
            await self._sleep(_OWNERS_CHECKED)
            served = [each for kind in rules.SUBSCRIPTIONS for each in self.view().instances(kind)]
            origins = [self.origin(_name(each)) for each in served if each.get("SubscriptionState") == rules.ENABLED]
            refused = {owner for owner in {each.owner for each in origins if each} if not await may_read(owner)}
            for owner in refused & doubtful:
                await self._disable_those_of(owner)
            doubtful = refused

    async def _disable_those_of(self, owner: str) -> None:
        async with self._writing:
            for each in [each for kind in rules.SUBSCRIPTIONS for each in self.view().instances(kind)]:
                origin = self.origin(_name(each))
                if origin and origin.owner == owner and each.get("SubscriptionState") == rules.ENABLED:
                    _log.warning("subscription_ended", name=str(each.name), reason=f"{owner} may read no longer")
                    await self._replace_subscription(rules.in_state(each, rules.DISABLED))
                    await self._drop_unused(rules.reference(each, "Handler"))

    async def _replace_subscription(self, subscription: Instance) -> None:
        """Keep a subscription as it is now, and serve it so."""
        name = _name(subscription)
        origin = self.origin(name)
        if origin is not None:
            await self.keep(subscription, origin)
        self._deactivate(name.identity)
        self._activate(subscription)

    def _tell_of_start(self) -> None:
        """Alert those who subscribed in a run before: what happened meanwhile nobody told them."""
        alert = Indication(self._description.start_alert())
        for watch in (each for watches in self._watches.values() for each in watches.values()):
            for namespace, class_name, sink in watch.sinks:
                if self._repository.is_subclass(namespace, alert.class_name, class_name):
                    sink(alert)


def _name(instance: Instance) -> InstanceName:
    if instance.name is None:
        raise ValueError("what is kept has a name")
    return instance.name


def _differences(one: Instance, other: Instance) -> dict[str, Value]:
    """Return the properties of ``other`` that ``one`` has otherwise."""
    names = {*one.properties, *other.properties}
    return {key: other.properties.get(key) for key in names if one.properties.get(key) != other.properties.get(key)}
