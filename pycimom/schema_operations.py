"""Operations on classes and qualifiers (DSP0200 5.3.2): answered from the class repository alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from lxml import etree

from cim_provider import CimError, Context, Status
from pycimom.cimxml import responses
from pycimom.cimxml.writing import namespace_path
from pycimom.repository import CimClass, Repository


class SchemaOperations:
    """Answers what GetClass and its kin ask; every method returns the content of a response in pieces."""

    def __init__(self, repository: Repository, host: str) -> None:
        self._repository = repository
        self._host = host

    async def get_class(
        self,
        context: Context,
        class_name: str,
        local_only: bool,
        include_qualifiers: bool,
        include_class_origin: bool,
        property_list: list[str] | None,
    ) -> Sequence[bytes]:
        """GetClass; an unknown class is NOT_FOUND here."""
        try:
            element = self._repository.class_xml(
                context.namespace, class_name, local_only, include_qualifiers, include_class_origin, property_list
            )
        except CimError as error:
            raise _with_status(error, Status.NOT_FOUND) from None
        return responses.return_value([element])

    async def enumerate_classes(
        self,
        context: Context,
        class_name: str | None,
        deep_inheritance: bool,
        local_only: bool,
        include_qualifiers: bool,
        include_class_origin: bool,
    ) -> Sequence[bytes]:
        """EnumerateClasses."""
        names = self._repository.subclasses(context.namespace, class_name, deep_inheritance)
        return responses.return_value(
            [
                self._repository.class_xml(
                    context.namespace, each, local_only, include_qualifiers, include_class_origin
                )
                for each in names
            ]
        )

    async def enumerate_class_names(
        self, context: Context, class_name: str | None, deep_inheritance: bool
    ) -> Sequence[bytes]:
        """EnumerateClassNames."""
        names = self._repository.subclasses(context.namespace, class_name, deep_inheritance)
        return responses.return_value([responses.class_name_element(each) for each in names])

    async def get_qualifier(self, context: Context, qualifier_name: str) -> Sequence[bytes]:
        """GetQualifier."""
        return responses.return_value([self._repository.qualifier_xml(context.namespace, qualifier_name)])

    async def enumerate_qualifiers(self, context: Context) -> Sequence[bytes]:
        """EnumerateQualifiers."""
        return responses.return_value([self._repository.qualifier_xml(context.namespace)])

    # Writes may wait for a disk.

    async def create_class(self, context: Context, new_class: etree._Element) -> Sequence[bytes]:
        """CreateClass."""
        await asyncio.to_thread(self._repository.create_class, context.namespace, new_class)
        return ()

    async def modify_class(self, context: Context, modified_class: etree._Element) -> Sequence[bytes]:
        """ModifyClass."""
        await asyncio.to_thread(self._repository.modify_class, context.namespace, modified_class)
        return ()

    async def delete_class(self, context: Context, class_name: str) -> Sequence[bytes]:
        """DeleteClass."""
        await asyncio.to_thread(self._repository.delete_class, context.namespace, class_name)
        return ()

    async def set_qualifier(self, context: Context, qualifier_declaration: etree._Element) -> Sequence[bytes]:
        """SetQualifier."""
        await asyncio.to_thread(self._repository.set_qualifier, context.namespace, qualifier_declaration)
        return ()

    async def delete_qualifier(self, context: Context, qualifier_name: str) -> Sequence[bytes]:
        """DeleteQualifier."""
        await asyncio.to_thread(self._repository.delete_qualifier, context.namespace, qualifier_name)
        return ()

    async def references(
        self,
        context: Context,
        class_name: str,
        result_class: str | None,
        role: str | None,
        include_qualifiers: bool,
        include_class_origin: bool,
        property_list: list[str] | None,
    ) -> Sequence[bytes]:
        """References of a class: the association classes that can hold it."""
        found = self._references(context.namespace, class_name, result_class, role)
        return self._with_paths(context, found, include_qualifiers, include_class_origin, property_list)

    async def reference_names(
        self, context: Context, class_name: str, result_class: str | None, role: str | None
    ) -> Sequence[bytes]:
        """ReferenceNames of a class."""
        return self._paths(context, self._references(context.namespace, class_name, result_class, role))

    async def associators(
        self,
        context: Context,
        class_name: str,
        assoc_class: str | None,
        result_class: str | None,
        role: str | None,
        result_role: str | None,
        include_qualifiers: bool,
        include_class_origin: bool,
        property_list: list[str] | None,
    ) -> Sequence[bytes]:
        """Associators of a class: the classes at the other ends of its association classes."""
        found = self._associators(context.namespace, class_name, assoc_class, result_class, role, result_role)
        return self._with_paths(context, found, include_qualifiers, include_class_origin, property_list)

    async def associator_names(
        self,
        context: Context,
        class_name: str,
        assoc_class: str | None,
        result_class: str | None,
        role: str | None,
        result_role: str | None,
    ) -> Sequence[bytes]:
        """AssociatorNames of a class."""
        found = self._associators(context.namespace, class_name, assoc_class, result_class, role, result_role)
        return self._paths(context, found)

    def _references(self, namespace: str, class_name: str, result_class: str | None, role: str | None) -> Iterator[str]:
        for association, ends in self._associations(namespace, class_name, result_class, "ResultClass"):
            if any(role is None or role.lower() == end for end in ends):
                yield association.name

    def _associators(
        self,
        namespace: str,
        class_name: str,
        assoc_class: str | None,
        result_class: str | None,
        role: str | None,
        result_role: str | None,
    ) -> Iterator[str]:
        seen: set[str] = set()
        self._check(namespace, result_class, "ResultClass")
        for association, ends in self._associations(namespace, class_name, assoc_class, "AssocClass"):
            for far in association.references:
                there, target = far.name.lower(), far.reference or ""
                if (
                    any(here != there and (role is None or role.lower() == here) for here in ends)
                    and (result_role is None or result_role.lower() == there)
                    and (result_class is None or self._repository.is_subclass(namespace, target, result_class))
                    and target.lower() not in seen
                ):
                    seen.add(target.lower())
                    yield target

    def _associations(
        self, namespace: str, class_name: str, assoc_class: str | None, parameter: str
    ) -> Iterator[tuple[CimClass, list[str]]]:
        """Yield the association classes of a class, with the roles in lower case that it can have there."""
        repository = self._repository
        self._check(namespace, class_name, "ObjectName")
        self._check(namespace, assoc_class, parameter)
        for name in repository.associations_of(namespace, class_name):
            if assoc_class is None or repository.is_subclass(namespace, name, assoc_class):
                association = repository.get(namespace, name)
                yield (
                    association,
                    [
                        each.name.lower()
                        for each in association.references
                        if repository.is_subclass(namespace, class_name, each.reference or "")
                    ],
                )

    def _check(self, namespace: str, class_name: str | None, parameter: str) -> None:
        if class_name is not None:
            try:
                self._repository.get(namespace, class_name)
            except CimError as error:
                problem = CimError(error.status, f"{parameter}: {error.description}")
                raise _with_status(problem, Status.INVALID_PARAMETER) from None

    def _with_paths(
        self,
        context: Context,
        names: Iterator[str],
        include_qualifiers: bool,
        include_class_origin: bool,
        property_list: list[str] | None,
    ) -> Sequence[bytes]:
        where = namespace_path(self._host, context.namespace)
        pieces: list[bytes] = []
        for each in names:
            element = self._repository.class_xml(
                context.namespace, each, False, include_qualifiers, include_class_origin, property_list
            )
            path = responses.class_path(each, where)
            pieces += (b"<VALUE.OBJECTWITHPATH>", path, element, b"</VALUE.OBJECTWITHPATH>")
        return responses.return_value(pieces)

    def _paths(self, context: Context, names: Iterator[str]) -> Sequence[bytes]:
        where = namespace_path(self._host, context.namespace)
        return responses.return_value(
            [b"<OBJECTPATH>" + responses.class_path(each, where) + b"</OBJECTPATH>" for each in names]
        )


def _with_status(error: CimError, status: Status) -> CimError:
    return CimError(status, error.description) if error.status is Status.INVALID_CLASS else error
