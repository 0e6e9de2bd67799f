"""What a provider is to its host, be that pycimom, SFCB or OpenPegasus.

A host reads through a ``View``: one immutable version of everything the provider serves. All reads of one request
use one view, so a client never sees two halves of a change. Views do no I/O, never wait, and may be used from any
thread. Writes and methods are coroutines on the provider's loop; a host that has no loop runs the provider with
``threaded.ThreadedHost``.

A provider answers for exactly the class that is named; walking subclasses is the host's task.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cim_provider.values import CimError, Indication, Instance, InstanceName, MethodResult, Status, Value


@dataclass(frozen=True)
class Property:
    """The declaration of a property or parameter: its CIM type by the name of DSP0004, e.g. ``uint16``.

    ``embedded`` names the class of an embedded instance (type ``string``); ``reference`` the class that a reference
    points to (type ``reference``).
    """

    type: str
    array: bool = False
    key: bool = False
    embedded: str | None = None
    reference: str | None = None


@dataclass(frozen=True)
class Parameter(Property):
    """The declaration of a method's parameter."""

    is_input: bool = True
    is_output: bool = False


@dataclass(frozen=True)
class Method:
    """The declaration of an extrinsic method."""

    returns: str = "uint32"
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True)
class ClassDeclaration:
    """What a provider serves of one class. The MOF says the same, and a test compares both."""

    name: str
    superclass: str
    properties: Mapping[str, Property]
    methods: Mapping[str, Method] = field(default_factory=dict)
    is_association: bool = False
    is_indication: bool = False

    @property
    def ends(self) -> dict[str, str]:
        """The roles of an association and the class at each."""
        return {name: each.reference for name, each in self.properties.items() if each.reference is not None}

    @property
    def keys(self) -> list[str]:
        """The names of the key properties."""
        return [name for name, each in self.properties.items() if each.key]


@dataclass(frozen=True)
class Principal:
    """Somebody who has been recognised. Providers may attach more by subclassing; hosts only hand it on."""

    name: str
    may_administer: bool = field(default=False, kw_only=True)
    """Whether they may change what belongs to the host itself: classes, qualifiers, namespaces, kept instances."""


@dataclass(frozen=True)
class Context:
    """For whom and in which namespace a write or a method runs."""

    principal: Principal
    namespace: str
    peer: str | None = None
    """The IP address that the request came from; None if it came by a unix socket or the host does not know."""

    def require_administrator(self) -> None:
        """Raise ACCESS_DENIED unless the principal may administer the host."""
        if not self.principal.may_administer:
            raise CimError(Status.ACCESS_DENIED, f"{self.principal.name} may not administer this server.")


class Authenticator(Protocol):
    """Recognises users for a host."""

    async def authenticate(self, user: str, password: str) -> Principal:
        """Return who this is, or raise CimError ACCESS_DENIED with a sentence that gives nothing away."""


class View(Protocol):
    """One immutable version of what a provider serves. Unknown classes have no instances."""

    def instances(self, class_name: str) -> Sequence[Instance]:
        """Return all instances of exactly this class, in a stable order.

        The very same sequence object is returned as long as none of the instances changed, in this view and, once
        it was asked for, in later ones: hosts may keep what they derived from it.
        """

    def instance(self, name: InstanceName) -> Instance | None:
        """Return the instance with this name (its namespace is ignored), or None."""

    def references(self, association: str, name: InstanceName, role: str | None = None) -> Sequence[Instance]:
        """Return the instances of exactly this association class that have ``name`` at an end.

        ``role`` (any spelling) says which end must be ``name``; None means any. Found by index, never by enumeration.
        """


class Provider:
    """Serves some classes. Subclasses override what they can do; everything else answers NOT_SUPPORTED."""

    @property
    def declarations(self) -> Mapping[str, ClassDeclaration]:
        """What is served, by class name. Fixed for the life of the provider."""
        raise NotImplementedError

    @property
    def filter_collections(self) -> Mapping[str, Collection[str]]:
        """Indication classes for which hosts offer filters ready-made, in collections by name. Fixed.

        Who subscribes to a collection is told of everything once, as far as its classes do not tell it twice.
        """
        return {}

    async def start(self) -> None:
        """Begin to serve; returns when the first view is there, or when waiting longer would only delay the host."""

    async def stop(self) -> None:
        """End everything that start began."""

    @property
    def sampled_classes(self) -> Collection[str]:
        """Those of the classes (lower case) whose instances show samples, which a view has only after ``refresh``."""
        return ()

    async def refresh(self, classes: Collection[str]) -> None:
        """Bring the samples that the next view shows of some sampled classes up to date, within the provider's bounds.

        Hosts call it before they read instances of those classes.
        """

    def view(self) -> View:
        """Return the newest view; CimError FAILED with the reason if there is none yet."""
        raise NotImplementedError

    async def create_instance(self, context: Context, instance: Instance) -> InstanceName:
        """Create an instance and return its name. DSP0200 5.3.2.6."""
        raise CimError(Status.NOT_SUPPORTED, f"Instances of {instance.class_name} cannot be created.")

    async def modify_instance(
        self, context: Context, name: InstanceName, changes: Mapping[str, Value], property_list: Collection[str] | None
    ) -> None:
        """Set properties of an instance. DSP0200 5.3.2.8."""
        raise CimError(Status.NOT_SUPPORTED, f"Instances of {name.class_name} cannot be modified.")

    async def delete_instance(self, context: Context, name: InstanceName) -> None:
        """Delete an instance. DSP0200 5.3.2.4."""
        raise CimError(Status.NOT_SUPPORTED, f"Instances of {name.class_name} cannot be deleted.")

    async def invoke_method(
        self, context: Context, target: InstanceName, method: str, inputs: Mapping[str, Value]
    ) -> MethodResult:
        """Run an extrinsic method. ``target`` without keys names the class (a static method).

        A parameter that is a reference may come as text or as an embedded instance, if the client wrote that.
        """
        raise CimError(Status.METHOD_NOT_AVAILABLE, f"{target.class_name} has no method {method}.")

    def watch(self, classes: Collection[str], sink: Callable[[Indication], None]) -> Callable[[], None]:
        """Call ``sink`` for each indication of exactly these classes, in order; the result ends that.

        The sink is called on the provider's loop and must not block.
        """
        raise CimError(Status.NOT_SUPPORTED, "This provider raises no indications.")
