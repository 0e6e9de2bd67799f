"""Do references lead to instances, and are associations found from both of their ends?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import pywbem

from xen_tools.validation.keys import differences
from xen_tools.validation.names import Identity, identity, short
from xen_tools.validation.sampling import Sample
from xen_tools.validation.server import Namespace


@dataclass(frozen=True)
class Link:
    """An end of an instance of an association, and another end of it."""

    association: str
    """The class, in lower case."""
    path: pywbem.CIMInstanceName
    name: Identity
    role: str
    other_role: str
    other: pywbem.CIMInstanceName


class Graph:
    """The associations of a namespace, as its enumerations show them."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    @cached_property
    def links(self) -> dict[Identity, list[Link]]:
        """By what is at one end: the associations that it takes part in."""
        links: dict[Identity, list[Link]] = defaultdict(list)
        for association, instance in self._instances():
            ends = ends_of(self._namespace, instance)
            own = identity(instance.path, self._namespace.name)
            for role, end in ends.items():
                for other_role, other in ends.items():
                    if other_role != role:
                        link = Link(association, instance.path, own, role, other_role, other)
                        links[identity(end, self._namespace.name)].append(link)
        return links

    def _instances(self) -> Iterator[tuple[str, pywbem.CIMInstance]]:
        for name, instances in self._namespace.instances.items():
            if instances and self._namespace.flag(name, "Association"):
                for each in instances:
                    yield name, each

    def refresh(self, names: Collection[str]) -> None:
        """Read again what some associations are."""
        if self._namespace.refresh(names):
            self.__dict__.pop("links", None)


def ends_of(namespace: Namespace, instance: pywbem.CIMInstance) -> dict[str, pywbem.CIMInstanceName]:
    """Return what is at the ends of an association, by role."""
    roles = namespace.roles(instance.classname.lower())
    return {role: instance[role] for role in roles if isinstance(instance.get(role), pywbem.CIMInstanceName)}


def check_ends(namespace: Namespace) -> None:
    """Look where the references of instances lead."""
    for instances in list(namespace.instances.values()):
        for instance in instances:
            for role, end in ends_of(namespace, instance).items():
                _check_end(namespace, instance, role, end)


def _check_end(namespace: Namespace, instance: pywbem.CIMInstance, role: str, end: pywbem.CIMInstanceName) -> None:
    name = identity(end, namespace.name)
    there = namespace.server.namespaces.get(name[0])
    if there is None:
        return
    declared = namespace.classes[instance.classname.lower()].properties[role].reference_class
    if declared.lower() in there.classes and not there.is_a(name[1], declared):
        namespace.report("reference.class", instance.path, f"{role} is a {end.classname}, declared {declared}.")
    if name not in there.by_name:
        there.refresh([name[1]])
        namespace.refresh([instance.classname.lower()])
        if name not in there.by_name and identity(instance.path, namespace.name) in namespace.by_name:
            namespace.report("reference.dangling", instance.path, f"{role} leads to nothing: {short(end)}.")


def check_cardinalities(namespace: Namespace) -> None:
    """Count how many each instance is associated with, where Min and Max say how many that may be."""
    for name in namespace.classes:
        if namespace.flag(name, "Association"):
            for role in namespace.roles(name):
                _check_cardinality(namespace, name, role)


def _check_cardinality(namespace: Namespace, name: str, role: str) -> None:
    least, most = (_bound(namespace, name, role, each) for each in ("Min", "Max"))
    above = (namespace.classes[name].superclass or "").lower()
    if above in namespace.classes and role in namespace.classes[above].properties:
        least = None if least == _bound(namespace, above, role, "Min") else least
        most = None if most == _bound(namespace, above, role, "Max") else most
    if not least and not most:
        return
    counted: dict[Identity, set[Identity]] = defaultdict(set)
    for sub in namespace.subclasses(name):
        for instance in namespace.instances.get(sub, ()):
            ends = ends_of(namespace, instance)
            for other in (each for each in ends if each != role):
                counted[identity(ends[other], namespace.name)].add(identity(ends[role], namespace.name))
    spelled = namespace.classes[name].classname
    for one, others in counted.items():
        if most and len(others) > most:
            subject = namespace.by_name[one].path if one in namespace.by_name else spelled
            namespace.report("reference.most", subject, f"{len(others)} {role} by {spelled}, but at most {most}.")
    if least and counted:
        for one, subject in _members(namespace, name, role):
            if len(counted.get(one, ())) < least:
                count = len(counted.get(one, ()))
                namespace.report("reference.least", subject, f"{count} {role} by {spelled}, but at least {least}.")


def _members(namespace: Namespace, name: str, role: str) -> Iterator[tuple[Identity, pywbem.CIMInstanceName]]:
    """Yield what may be at the other ends of an association: the instances of the classes to which they lead."""
    for other in namespace.roles(name):
        if other != role:
            declared = namespace.classes[name].properties[other].reference_class.lower()
            for sub in namespace.subclasses(declared):
                for each in namespace.instances.get(sub, ()):
                    yield identity(each.path, namespace.name), each.path


def _bound(namespace: Namespace, name: str, role: str, qualifier: str) -> int | None:
    found = namespace.classes[name].properties[role].qualifiers.get(qualifier)
    return None if found is None or found.value is None else int(found.value)


class Traversal:
    """Asks from each instance for its associations, by the filters that there are."""

    def __init__(self, namespace: Namespace, sample: Sample) -> None:
        self._namespace = namespace
        self._graph = Graph(namespace)
        self._sample = sample
        self._turn = 0
        self._tried: set[tuple[str, str]] = set()

    def check(self) -> None:
        """Ask from each instance of each class."""
        for name, instances in list(self._namespace.instances.items()):
            for instance in self._sample.of(instances):
                self._check_all(instance.path)
                for association, role in sorted({(each.association, each.role) for each in self._links(instance.path)}):
                    self._check_filtered(instance.path, association, role)
            if instances and name in self._namespace.classes:
                self._check_contents(instances[0].path)

    def _links(self, end: pywbem.CIMInstanceName) -> list[Link]:
        return self._graph.links.get(identity(end, self._namespace.name), [])

    def _check_all(self, end: pywbem.CIMInstanceName) -> None:
        self._compare("reference", end, {}, lambda link: True)
        self._compare("associator", end, {}, lambda link: True)

    def _check_filtered(self, end: pywbem.CIMInstanceName, association: str, role: str) -> None:
        """Ask for an association by its own name or, in turn, by one above it, and for its other end likewise."""
        namespace = self._namespace
        self._turn += 1
        levels = namespace.ancestors(association)
        level = levels[self._turn % len(levels)]
        links = [each for each in self._links(end) if each.association == association and each.role == role]
        far_levels = namespace.ancestors(links[0].other.classname.lower())
        far, other_role = far_levels[self._turn % len(far_levels)], links[0].other_role

        def fits(link: Link) -> bool:
            return level in namespace.ancestors(link.association) and link.role.lower() == role.lower()

        spelled = namespace.classes[level].classname
        self._compare("reference", end, {"ResultClass": spelled, "Role": role}, fits)
        if (association, role) not in self._tried:
            self._tried.add((association, role))
            self._check_wrong_role(end, level, other_role)
        filters = {"AssocClass": spelled, "Role": role, "ResultRole": other_role}
        if far in namespace.classes:
            filters["ResultClass"] = namespace.classes[far].classname
        self._compare(
            "associator",
            end,
            filters,
            lambda link: (
                fits(link)
                and link.other_role.lower() == other_role.lower()
                and far in namespace.ancestors(link.other.classname.lower())
            ),
        )

    def _check_wrong_role(self, end: pywbem.CIMInstanceName, level: str, role: str) -> None:
        """Ask by the role that something else has, and the instance itself perhaps never."""

        def fits(link: Link) -> bool:
            return level in self._namespace.ancestors(link.association) and link.role.lower() == role.lower()

        filters = {"ResultClass": self._namespace.classes[level].classname, "Role": role}
        self._compare("reference", end, filters, fits)

    def _compare(
        self, kind: str, end: pywbem.CIMInstanceName, filters: dict[str, str], fits: Callable[[Link], bool]
    ) -> None:
        expected, found = self._expected(kind, end, fits), self._found(kind, end, filters)
        if found is None:
            return
        if expected.keys() != found.keys():  # perhaps something changed meanwhile
            self._graph.refresh({each.association for each in self._links(end)})
            again, once_more = self._expected(kind, end, fits), self._found(kind, end, filters)
            if once_more is None or identity(end, self._namespace.name) not in self._namespace.by_name:
                return
            missing = (expected.keys() & again.keys()) - found.keys() - once_more.keys()
            extra = (found.keys() & once_more.keys()) - expected.keys() - again.keys()
            how = " ".join(f"{name}={value}" for name, value in filters.items()) or "without a filter"
            for name in sorted(missing, key=str):
                self._namespace.report(f"{kind}.missing", end, f"Not found {how}: {short(expected[name])}.")
            for name in sorted(extra, key=str):
                self._namespace.report(f"{kind}.extra", end, f"Found {how}: {short(found[name])}.")

    def _expected(
        self, kind: str, end: pywbem.CIMInstanceName, fits: Callable[[Link], bool]
    ) -> dict[Identity, pywbem.CIMInstanceName]:
        links = [each for each in self._links(end) if fits(each)]
        if kind == "reference":
            return {each.name: each.path for each in links}
        return {identity(each.other, self._namespace.name): each.other for each in links}

    def _found(
        self, kind: str, end: pywbem.CIMInstanceName, filters: dict[str, str]
    ) -> dict[Identity, pywbem.CIMInstanceName] | None:
        server = self._namespace.server
        operation = server.connection.ReferenceNames if kind == "reference" else server.connection.AssociatorNames
        names = server.ask(short(end), operation, end, **filters)
        if names is None:
            return None
        return {identity(each, self._namespace.name): each for each in names}

    def _check_contents(self, end: pywbem.CIMInstanceName) -> None:
        """Compare what References and Associators give of one instance with what is enumerated."""
        if not self._links(end):
            return
        connection = self._namespace.server.connection
        for rule, operation in (
            ("reference.other", connection.References),
            ("associator.other", connection.Associators),
        ):
            for name, found in self._ask_for_contents(operation, end).items():
                there = self._namespace.server.namespaces.get(name[0])
                known = there.by_name.get(name) if there is not None else None
                if there is None or known is None:
                    continue
                again = partial(self._ask_again, operation, end, name)
                for text in differences(there, known, found, again):
                    self._namespace.report(rule, found.path, f"From {short(end)}: {text}")

    def _ask_for_contents(
        self, operation: Callable[..., Any], end: pywbem.CIMInstanceName
    ) -> dict[Identity, pywbem.CIMInstance]:
        found: list[pywbem.CIMInstance] = self._namespace.server.ask(short(end), operation, end) or []
        return {identity(each.path, self._namespace.name): each for each in found}

    def _ask_again(
        self, operation: Callable[..., Any], end: pywbem.CIMInstanceName, name: Identity
    ) -> pywbem.CIMInstance | None:
        return self._ask_for_contents(operation, end).get(name)
