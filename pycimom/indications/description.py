"""What the indication service says of itself, and what it offers ready-made: filters, and collections of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import uuid4

from cim_provider import CimError, Instance, InstanceName, Status, Value
from pycimom.indications import rules
from pycimom.indications.delivery import DeliverySettings

SERVICE = "CIM_IndicationService"
CAPABILITIES = "CIM_IndicationServiceCapabilities"
ELEMENT_CAPABILITIES = "CIM_ElementCapabilities"
OWNED_COLLECTION = "CIM_OwningCollectionElement"
AFFECTED = "CIM_ServiceAffectsElement"
CLASSES = (SERVICE, CAPABILITIES, ELEMENT_CAPABILITIES, OWNED_COLLECTION, AFFECTED)

REMOVE, DISABLE, IGNORE = 2, 3, 4
"""What SubscriptionRemovalAction may be."""
_MANAGES = 5
_MODEL_CHANGE, _INFORMATION, _ELEMENT_REINITIALIZED, _OBJECT_PATH = 7, 2, 110, 2
_LANGUAGE = "DMTF:CQL"

Offers: TypeAlias = Mapping[str, Mapping[str, Collection[str]]]
"""By namespace: the collections of filters that there are for its indications, by name, each with their classes."""


@dataclass(frozen=True)
class Policy:
    """What administrators may change of the service. Times in seconds."""

    FilterCreationEnabled: bool = True
    DeliveryRetryAttempts: int = 3
    DeliveryRetryInterval: float = 30.0
    SubscriptionRemovalAction: int = REMOVE
    SubscriptionRemovalTimeInterval: int = 30 * 24 * 3600

    @classmethod
    def of(cls, delivery: DeliverySettings) -> Policy:
        """Return what the settings say."""
        return cls(DeliveryRetryAttempts=delivery.retry_attempts, DeliveryRetryInterval=delivery.retry_interval)

    def delivery(self, settings: DeliverySettings) -> DeliverySettings:
        """Return the settings of delivery that follow from others."""
        return replace(
            settings, retry_attempts=self.DeliveryRetryAttempts, retry_interval=float(self.DeliveryRetryInterval)
        )

    def properties(self) -> dict[str, Value]:
        """Return the properties of the service that say so."""
        return {name: getattr(self, name) for name in LIMITS} | {
            "DeliveryRetryInterval": max(1, round(self.DeliveryRetryInterval))
        }

    def changed(self, changes: Mapping[str, Value]) -> Policy:
        """Return the policy after changes; INVALID_PARAMETER for a value that cannot be, NOT_SUPPORTED elsewhere."""
        for name, value in changes.items():
            if name not in LIMITS:
                raise CimError(Status.NOT_SUPPORTED, f"{name} of the indication service cannot be modified.")
            least, most = LIMITS[name]
            if not isinstance(value, int) or not least <= value <= most:
                raise CimError(Status.INVALID_PARAMETER, f"{name} can be from {least:d} to {most:d}.")
        changed: dict[str, Any] = dict(changes)
        return replace(self, **changed)


LIMITS: Mapping[str, tuple[int, int]] = {
    "FilterCreationEnabled": (False, True),
    "DeliveryRetryAttempts": (0, 1000),
    "DeliveryRetryInterval": (1, 86400),
    "SubscriptionRemovalAction": (REMOVE, IGNORE),
    "SubscriptionRemovalTimeInterval": (1, 2**32 - 1),
}
"""The properties that administrators may set, with the least and the greatest value."""


class Description:
    """The instances that are always there, for a system in a namespace."""

    def __init__(self, system_name: str, namespace: str) -> None:
        self._system_name = system_name
        self._namespace = namespace

    def service(self, policy: Policy) -> Instance:
        """Return the service itself."""
        keys: dict[str, Value] = {
            "SystemCreationClassName": rules.SYSTEM_CLASS,
            "SystemName": self._system_name,
            "CreationClassName": SERVICE,
            "Name": "xen-cim:indications",
        }
        return self._instance(
            SERVICE,
            keys,
            ElementName="Indication service",
            EnabledState=2,
            RequestedState=12,
            Started=True,
            **policy.properties(),
        )

    def capabilities(self, destinations: int, subscriptions: int) -> list[Instance]:
        """Return what the service can, for at most so many destinations and subscriptions, and its link to that."""
        capabilities = self._instance(
            CAPABILITIES,
            {"InstanceID": "xen-cim:indication-service-capabilities"},
            ElementName="Indication service capabilities",
            MaxListenerDestinations=destinations,
            MaxActiveSubscriptions=subscriptions,
            SubscriptionsPersisted=True,
            **{f"{name}IsSettable": True for name in LIMITS},
        )
        ends = {"ManagedElement": self.service(Policy()).name, "Capabilities": capabilities.name}
        return [capabilities, self._instance(ELEMENT_CAPABILITIES, ends)]

    def offered(self, offers: Offers) -> Iterator[Instance]:
        """Yield the filters and collections of filters that are offered, and how they hang together."""
        service = self.service(Policy()).name
        for namespace, collections in offers.items():
            for name, class_names in collections.items():
                identifier = f"xen-cim:{namespace}:{name}"
                collection = self._instance(
                    rules.COLLECTION,
                    {"InstanceID": identifier},
                    CollectionName=identifier,
                    ElementName=f"{name} of {namespace}",
                )
                yield collection
                yield self._instance(OWNED_COLLECTION, {"OwningElement": service, "OwnedElement": collection.name})
                yield self.affects(collection)
                for each in class_names:
                    member = self._filter(namespace, each)
                    yield member
                    yield self.affects(member)
                    yield self._instance(rules.MEMBER, {"Collection": collection.name, "Member": member.name})

    def start_alert(self) -> Instance:
        """Return what subscribers of a run before are told at a start."""
        told = "The CIM server was started again. What happened meanwhile was not told: read everything anew."
        return Instance(
            "CIM_AlertIndication",
            {
                "IndicationIdentifier": f"urn:uuid:{uuid4()}",
                "IndicationTime": datetime.now(UTC),
                "AlertType": _MODEL_CHANGE,
                "PerceivedSeverity": _INFORMATION,
                "ProbableCause": _ELEMENT_REINITIALIZED,
                "EventID": "SERVER_STARTED",
                "MessageID": "SERVER_STARTED",
                "OwningEntity": "xen-cim",
                "ProviderName": "xen-cim",
                "Message": told,
                "Description": told,
                "AlertingManagedElement": str(self.service(Policy()).name),
                "AlertingElementFormat": _OBJECT_PATH,
            },
        )

    def affects(self, element: Instance) -> Instance:
        """Return the link from the service to something that it manages."""
        ends = {"AffectingElement": self.service(Policy()).name, "AffectedElement": element.name}
        return self._instance(AFFECTED, ends, ElementEffects=[_MANAGES])

    def _filter(self, namespace: str, class_name: str) -> Instance:
        keys: dict[str, Value] = {
            "SystemCreationClassName": rules.SYSTEM_CLASS,
            "SystemName": self._system_name,
            "CreationClassName": rules.FILTER,
            "Name": f"xen-cim:{namespace}:{class_name}",
        }
        return self._instance(
            rules.FILTER,
            keys,
            ElementName=class_name,
            SourceNamespaces=[namespace],
            IndividualSubscriptionSupported=True,
            Query=f"SELECT * FROM {class_name}",  # noqa: S608 (a query of indications)
            QueryLanguage=_LANGUAGE,
        )

    def _instance(self, class_name: str, keys: Mapping[str, Value], **others: Value) -> Instance:
        name = InstanceName(class_name, tuple(keys.items()), self._namespace)  # type: ignore[arg-type]  # never NULL
        return Instance(class_name, {**keys, **others}, name)
