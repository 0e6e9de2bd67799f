"""A CIM server, as a process, with a provider that makes very many instances when they are read and keeps none.

Says its port on a line, logs to standard error, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any, overload

import structlog
from lxml import etree

from cim_provider import ClassDeclaration, Instance, InstanceName, Principal, Provider
from netserve.doors import Door
from pycimom.repository import Repository
from pycimom.server import CimServer, Registration, Settings
from pycimom.static import declare

NAMESPACE = "root/cimv2"
CLASS = "Large_Item"
KEY = '<QUALIFIER NAME="Key" TYPE="boolean"><VALUE>TRUE</VALUE></QUALIFIER>'
DECLARED = (
    f'<CLASS NAME="{CLASS}"><PROPERTY NAME="Number" TYPE="uint32">{KEY}</PROPERTY>'
    '<PROPERTY NAME="Name" TYPE="string"/><PROPERTY NAME="Text" TYPE="string"/>'
    '<PROPERTY.ARRAY NAME="Codes" TYPE="uint16"/></CLASS>'
)


class Items(Sequence[Instance]):
    """As many instances as wanted, each made when it is looked at."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Instance: ...
    @overload
    def __getitem__(self, index: slice) -> list[Instance]: ...
    def __getitem__(self, index: int | slice) -> Instance | list[Instance]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(self._count))]
        if index >= self._count:
            raise IndexError(index)
        properties = {"Number": index, "Name": f"item {index}", "Text": "x" * 300, "Codes": [index % 7, 2, 3]}
        return Instance(CLASS, properties, InstanceName(CLASS, (("Number", index),)))


class LargeProvider(Provider):
    """Its own view, for it never changes."""

    def __init__(self, repository: Repository, count: int) -> None:
        self._declarations = {CLASS: declare(repository.get(NAMESPACE, CLASS))}
        self._items = Items(count)

    @property
    def declarations(self) -> Mapping[str, ClassDeclaration]:
        return self._declarations

    def view(self) -> LargeProvider:
        return self

    def instances(self, class_name: str) -> Sequence[Instance]:
        return self._items

    def instance(self, name: InstanceName) -> Instance | None:
        number = name.get("Number")
        return self._items[number] if isinstance(number, int) and 0 <= number < len(self._items) else None

    def references(self, association: str, name: InstanceName, role: str | None = None) -> Sequence[Instance]:
        return ()


class Anybody:
    async def authenticate(self, user: str, password: str) -> Principal:
        return Principal(user)


def repository() -> Repository:
    made = Repository((), {}, {NAMESPACE: ()})
    key = '<QUALIFIER.DECLARATION NAME="Key" TYPE="boolean" OVERRIDABLE="false"><SCOPE PROPERTY="true"/>'
    made.set_qualifier(NAMESPACE, etree.fromstring(f"{key}</QUALIFIER.DECLARATION>"))
    made.create_class(NAMESPACE, etree.fromstring(DECLARED))
    return made


async def serve(count: int, **settings: Any) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    classes = repository()
    registration = Registration(LargeProvider(classes, count), (NAMESPACE,))
    server = CimServer(Settings(classes, [Door("http")], **settings), [registration], Anybody())
    await server.start()
    sys.stdout.write(f"{server.doors[0].port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), enumerations=5, enumeration_timeout=2))
