"""What a filter, a destination and a subscription must be before the service takes them (DSP1054)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import uuid4

from cim_provider import CimError, Instance, InstanceName, Status, Value
from pycimom.query import Query, compile_query
from pycimom.repository import NamespaceClasses, Repository

FILTER = "CIM_IndicationFilter"
DESTINATIONS = ("CIM_ListenerDestinationCIMXML", "CIM_IndicationHandlerCIMXML")
"""The second is the older name of the first; both are taken."""
SUBSCRIPTION = "CIM_IndicationSubscription"
COLLECTION = "CIM_FilterCollection"
MEMBER = "CIM_MemberOfCollection"
COLLECTION_SUBSCRIPTION = "CIM_FilterCollectionSubscription"
SUBSCRIPTIONS = (SUBSCRIPTION, COLLECTION_SUBSCRIPTION)
MANAGED = (FILTER, COLLECTION, *DESTINATIONS)
KINDS = (*MANAGED, MEMBER, *SUBSCRIPTIONS)
"""All that clients can create."""

SYSTEM_CLASS = "CIM_ComputerSystem"

ENABLED, DISABLED = 2, 4
PERMANENT, TRANSIENT = 2, 3
_IGNORE_FATAL_ERRORS = 2
FATAL_ERROR_ACTIONS: Mapping[Value, int] = {3: 3, 4: 2}
"""By OnFatalErrorPolicy: what is done, as SubscriptionRemovalAction has it; for others, what the service does."""
_NO_REPEAT_POLICY = 2
_CIM_XML = 2

SUBSCRIPTION_DEFAULTS: Mapping[str, Value] = {
    "OnFatalErrorPolicy": _IGNORE_FATAL_ERRORS,
    "RepeatNotificationPolicy": _NO_REPEAT_POLICY,
    "SubscriptionState": ENABLED,
}
DESTINATION_DEFAULTS: Mapping[str, Value] = {"PersistenceType": PERMANENT, "Protocol": _CIM_XML}


def with_keys(instance: Instance, class_name: str, system_name: str) -> Instance:
    """Return a filter or destination with the keys that its creator may leave to the service."""
    given = {name.lower(): value for name, value in instance.properties.items() if value is not None}
    keys: dict[str, Value] = {
        "SystemCreationClassName": SYSTEM_CLASS,
        "SystemName": system_name,
        "Name": f"pycimom:{uuid4()}",
    }
    missing = {name: value for name, value in keys.items() if name.lower() not in given}
    others = {name: value for name, value in instance.properties.items() if name.lower() != "creationclassname"}
    return Instance(class_name, {**others, **missing, "CreationClassName": class_name})


def with_defaults(instance: Instance, defaults: Mapping[str, Value]) -> Instance:
    """Return an instance with defaults for what it does not say."""
    missing = {name: value for name, value in defaults.items() if instance.get(name) is None}
    return Instance(instance.class_name, {**instance.properties, **missing}, instance.name)


def with_identifier(instance: Instance) -> Instance:
    """Return a collection with the key that its creator may leave to the service."""
    identifier = instance.get("InstanceID") or f"pycimom:{uuid4()}"
    others = {name: value for name, value in instance.properties.items() if name.lower() != "instanceid"}
    named = Instance(COLLECTION, {**others, "InstanceID": identifier})
    return with_defaults(named, {"CollectionName": identifier})


def new_subscription(instance: Instance) -> Instance:
    """Return a subscription with defaults and the time of its creation."""
    now = datetime.now(UTC)
    times = {"SubscriptionStartTime": now, "TimeOfLastStateChange": now}
    check_subscription(instance)
    own = {name: value for name, value in instance.properties.items() if name.lower() not in map(str.lower, times)}
    return with_defaults(Instance(instance.class_name, {**own, **times}), SUBSCRIPTION_DEFAULTS)


def in_state(subscription: Instance, state: Value) -> Instance:
    """Return a subscription in another state, from now on."""
    properties = {**subscription.properties, "SubscriptionState": state, "TimeOfLastStateChange": datetime.now(UTC)}
    return Instance(subscription.class_name, properties, subscription.name)


def check_subscription(instance: Instance) -> None:
    """Raise INVALID_PARAMETER for a state or a policy that a subscription cannot have."""
    if instance.get("SubscriptionState") not in (None, ENABLED, DISABLED):
        raise CimError(Status.INVALID_PARAMETER, "SubscriptionState can be 2 (Enabled) or 4 (Disabled).")
    if instance.get("OnFatalErrorPolicy") not in (None, _IGNORE_FATAL_ERRORS, *FATAL_ERROR_ACTIONS):
        raise CimError(Status.INVALID_PARAMETER, "OnFatalErrorPolicy can be 2 (Ignore), 3 (Disable) or 4 (Remove).")
    if instance.get("RepeatNotificationPolicy") not in (None, _NO_REPEAT_POLICY):
        raise CimError(Status.INVALID_PARAMETER, "RepeatNotificationPolicy can only be 2 (None).")


def check_destination(instance: Instance) -> None:
    """Raise INVALID_PARAMETER for a destination that is not CIM-XML or neither permanent nor transient."""
    if instance.get("PersistenceType") not in (PERMANENT, TRANSIENT):
        raise CimError(Status.INVALID_PARAMETER, "PersistenceType can be 2 (Permanent) or 3 (Transient).")
    if instance.get("Protocol") != _CIM_XML:
        raise CimError(Status.INVALID_PARAMETER, "Protocol can only be 2 (CIM-XML).")
    if not isinstance(instance.get("Destination"), str):
        raise CimError(Status.INVALID_PARAMETER, "A destination needs a Destination, the URL of the listener.")


def compile_filter_queries(instance: Instance, repository: Repository) -> dict[str, Query]:
    """Return the query of a filter for each namespace that it selects from.

    A filter that names no namespace means every one that knows the class of the query. INVALID_PARAMETER for an unknown
    namespace or a missing query, INVALID_QUERY or QUERY_LANGUAGE_NOT_SUPPORTED for a query that cannot be.
    """
    text, language = instance.get("Query"), instance.get("QueryLanguage")
    if not isinstance(text, str) or not isinstance(language, str):
        raise CimError(Status.INVALID_PARAMETER, "A filter needs a Query and a QueryLanguage.")
    named = instance.get("SourceNamespaces") or instance.get("SourceNamespace")
    namespaces = [named] if isinstance(named, str) else list(named) if isinstance(named, list | tuple) else []
    if namespaces:
        return {str(each): _compile(text, language, repository, str(each)) for each in namespaces}
    queries: dict[str, Query] = {}
    problem: CimError | None = None
    for each in repository.namespaces():
        try:
            queries[each] = _compile(text, language, repository, each)
        except CimError as error:
            problem = problem or error
    if not queries and problem is not None:
        raise problem
    return queries


def _compile(text: str, language: str, repository: Repository, namespace: str) -> Query:
    try:
        repository.subclasses(namespace, None, deep=False)
    except CimError as error:
        raise CimError(
            Status.INVALID_PARAMETER, f"SourceNamespaces names {namespace!r}, which does not exist."
        ) from error
    query = compile_query(text, language, NamespaceClasses(repository, namespace))
    if not repository.get(namespace, query.class_name).is_indication:
        raise CimError(Status.INVALID_QUERY, f"{query.class_name} is no indication class.")
    return query


def reference(instance: Instance, role: str) -> InstanceName:
    """Return an end of a subscription; INVALID_PARAMETER if it is missing."""
    value = instance.get(role)
    if not isinstance(value, InstanceName):
        raise CimError(Status.INVALID_PARAMETER, f"A subscription needs a reference {role}.")
    return value
