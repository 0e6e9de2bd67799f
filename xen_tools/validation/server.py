"""The server that is looked at: its namespaces, with their classes and instances as it enumerates them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from typing import Any

import pywbem

from xen_tools.errors import CommandError
from xen_tools.validation.findings import Findings
from xen_tools.validation.names import Identity, identity, short

FRESH = 3.0
"""Seconds for which what was read again counts as what is."""


class Server:
    """Asks a server, counting; what it cannot answer is a finding."""

    def __init__(self, connection: pywbem.WBEMConnection, findings: Findings) -> None:
        self.connection = connection
        self.findings = findings
        self.requests = 0
        self.namespaces: dict[str, Namespace] = {}

    def ask(self, subject: object, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Return the answer, None if there is none that can be used; NOT_SUPPORTED is one: nothing is there."""
        self.requests += 1
        namespace = str(options.get("namespace") or getattr(arguments[0], "namespace", "")) if arguments else ""
        try:
            return operation(*arguments, **options)
        except pywbem.CIMError as error:
            if error.status_code == pywbem.CIM_ERR_NOT_SUPPORTED:
                return None
            self.findings.add("answer", namespace, subject, f"{operation.__name__}: {error}")
        except (pywbem.ParseError, pywbem.HTTPError) as error:
            first = str(error).splitlines()[0]
            self.findings.add("answer", namespace, subject, f"{operation.__name__} cannot be read: {first}")
        except pywbem.Error as error:
            raise CommandError(f"{self.connection.url} does not answer: {error}", code=2) from error
        return None

    def find_namespaces(self) -> tuple[str | None, list[str]]:
        """Return the Interop namespace, None if there is none, and all namespaces."""
        server = pywbem.WBEMServer(self.connection)
        try:
            return str(server.interop_ns), sorted(map(str, server.namespaces))
        except (pywbem.ModelError, pywbem.CIMError):
            return None, [self.connection.default_namespace]
        except pywbem.Error as error:
            raise CommandError(f"{self.connection.url} does not answer: {error}", code=2) from error

    def read(self, names: Iterable[str], report: Callable[[int, int], None]) -> None:
        """Read all that some namespaces have."""
        self.namespaces = {name.lower(): Namespace(self, name) for name in names}
        total = sum(len(each.classes) for each in self.namespaces.values())
        done = 0
        for namespace in self.namespaces.values():
            for name in namespace.classes:
                namespace.enumerate_class(name)
                done += 1
                report(done, total)

    def exists(self, name: Identity) -> bool | None:
        """Whether there is an instance of a name; None if its namespace was not read."""
        namespace = self.namespaces.get(name[0])
        return None if namespace is None else name in namespace.by_name


class Namespace:
    """The classes and instances of a namespace."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name
        options: dict[str, Any] = {"DeepInheritance": True, "LocalOnly": False, "IncludeQualifiers": True}
        found = server.ask("EnumerateClasses", server.connection.EnumerateClasses, namespace=name, **options) or []
        self.classes: dict[str, pywbem.CIMClass] = {each.classname.lower(): each for each in found}
        self.names: dict[str, list[pywbem.CIMInstanceName]] = {}
        """By class in lower case: what EnumerateInstanceNames gives, subclasses included."""
        self.instances: dict[str, list[pywbem.CIMInstance]] = {}
        """By class in lower case: the instances of exactly this class."""
        self.by_name: dict[Identity, pywbem.CIMInstance] = {}
        self._read_at: dict[str, float] = defaultdict(float)
        self._children: dict[str, list[str]] = defaultdict(list)
        for key, each in self.classes.items():
            if each.superclass is not None:
                self._children[each.superclass.lower()].append(key)
        self.subclasses = cache(self._subclasses)
        self.ancestors = cache(self._ancestors)

    def _subclasses(self, name: str) -> frozenset[str]:
        """Return a class (lower case) and all below it."""
        return frozenset({name}).union(*(self.subclasses(each) for each in self._children.get(name, ())))

    def _ancestors(self, name: str) -> tuple[str, ...]:
        """Return a class (lower case) and all above it."""
        above = self.classes[name].superclass if name in self.classes else None
        return (name, *(self.ancestors(above.lower()) if above else ()))

    def is_a(self, name: str, ancestor: str) -> bool:
        """Whether a class is another one, or below it."""
        return ancestor.lower() in self.ancestors(name.lower())

    def flag(self, name: str, qualifier: str) -> bool:
        """Whether a class has a boolean qualifier."""
        found = self.classes[name].qualifiers.get(qualifier)
        return found is not None and found.value is True

    @property
    def readable(self) -> Iterator[str]:
        """The classes (lower case) that may have instances, or subclasses that do."""
        return (name for name in self.classes if not self.flag(name, "Indication"))

    def roles(self, name: str) -> list[str]:
        """Return the names of an association's references."""
        return [each.name for each in self.classes[name].properties.values() if each.type == "reference"]

    def enumerate_class(self, name: str) -> None:
        """Read the instances of exactly a class, and the names that it and its subclasses have."""
        if self.flag(name, "Indication"):
            return
        server, spelled = self.server, self.classes[name].classname
        ask = server.connection
        self._read_at[name] = time.monotonic()
        names = server.ask(spelled, ask.EnumerateInstanceNames, spelled, namespace=self.name) or []
        instances: list[pywbem.CIMInstance] = []
        if any(each.classname.lower() == name for each in names) or not self._children.get(name):
            instances = server.ask(spelled, ask.EnumerateInstances, spelled, namespace=self.name) or []
        own = [each for each in instances if each.path.classname.lower() == name]
        for each in self.instances.get(name, ()):
            self.by_name.pop(identity(each.path, self.name), None)
        self.names[name], self.instances[name] = names, own
        for each in own:
            self.by_name.setdefault(identity(each.path, self.name), each)

    def refresh(self, names: Collection[str], fresh: float = FRESH) -> bool:
        """Read again what some classes (lower case) have: it may have changed since. Return whether anything was read.

        ``fresh`` is for how many seconds what was read counts as what is.
        """
        old = [each for each in names if each in self.classes and time.monotonic() - self._read_at[each] > fresh]
        for name in old:
            self.enumerate_class(name)
        return bool(old)

    def report(self, rule: str, subject: object, text: str) -> None:
        """Note a violation; of a name, people read no namespace twice."""
        if isinstance(subject, pywbem.CIMInstanceName):
            subject = short(subject)
        self.server.findings.add(rule, self.name, subject, text)
