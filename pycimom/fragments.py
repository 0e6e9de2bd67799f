"""Encoded once: the bytes of instances, kept for as long as the instances live and the budget lasts (DESIGN 4).

Two things are kept. The elements of an instance are kept in ``Instance.cache`` and die with it. The joined answer for
a whole class is kept beside the sequence of instances that a view gave for it, and holds while that very sequence is
given again. While there is one, the elements of its instances are parts of it, so that nothing is kept twice.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from time import perf_counter
from typing import cast

from cim_provider import CimError, Instance, InstanceName, Status
from pycimom.cimxml.writing import Writer, namespace_path

SLICE = 0.002
"""Seconds of encoding after which others get a turn."""
CHUNK = 1 << 20
"""About how many bytes are joined into one."""


class Shape(Enum):
    """The elements in which operations give instances or their names (DSP0200 5.3.2)."""

    NAMED_INSTANCE = "<VALUE.NAMEDINSTANCE>{name}{instance}</VALUE.NAMEDINSTANCE>"
    INSTANCE = "{instance}"
    INSTANCE_NAME = "{name}"
    OBJECT_WITH_PATH = "<VALUE.OBJECTWITHPATH>{path}{instance}</VALUE.OBJECTWITHPATH>"
    OBJECT_PATH = "<OBJECTPATH>{path}</OBJECTPATH>"
    INSTANCE_WITH_PATH = "<VALUE.INSTANCEWITHPATH>{path}{instance}</VALUE.INSTANCEWITHPATH>"
    INSTANCE_PATH = "{path}"


@dataclass(frozen=True)
class Detail:
    """How much of each instance is wanted."""

    properties: frozenset[str] | None = None
    """Names in lower case; None for all."""
    class_origin: bool = False

    @property
    def is_full(self) -> bool:
        """Whether it is the form that is kept."""
        return self.properties is None and not self.class_origin


FULL = Detail()


@dataclass(frozen=True)
class Found:
    """Instances of one class in one namespace, as a view gave them."""

    namespace: str
    instances: Sequence[Instance]
    whole_class: bool = False
    """Whether ``instances`` is the view's own sequence of all instances of the class."""


class _Owned:
    """Stands for bytes on the account, and is subtracted when nobody needs them any more, on whatever thread."""

    __slots__ = ("_freed", "_size")

    def __init__(self, size: int, freed: deque[int]) -> None:
        self._size = size
        self._freed = freed

    def __del__(self) -> None:
        self._freed.append(self._size)


@dataclass(frozen=True)
class _Joined:
    """The answer for a whole class."""

    instances: Sequence[Instance]
    chunks: Sequence[bytes]
    owned: Sequence[_Owned]


class Fragments:
    """Turns instances into bytes and remembers them, up to ``budget`` bytes."""

    def __init__(self, writer: Writer, host: str, budget: int) -> None:
        self._writer = writer
        self._host = host
        self._budget = budget
        self._used = 0
        self._freed: deque[int] = deque()
        self._classes: OrderedDict[tuple[str, str, Shape], _Joined] = OrderedDict()

    @property
    def used(self) -> int:
        """How many bytes are kept."""
        while self._freed:
            self._used -= self._freed.popleft()
        return self._used

    async def encode(self, shape: Shape, found: Found, detail: Detail = FULL, *, keep: bool = True) -> Sequence[bytes]:
        """Return instances in the given shape, as a few byte strings to be sent one after the other.

        With ``keep`` False nothing more is kept than before.
        """
        if not found.instances:
            return ()
        if not (found.whole_class and detail.is_full and keep):
            return await self._encode(shape, found, detail, keep)
        key = (found.namespace, found.instances[0].class_name, shape)
        known = self._classes.get(key)
        if known is not None and known.instances is found.instances:
            self._classes.move_to_end(key)
            return known.chunks
        ends: list[tuple[int, int]] = []
        chunks = await self._encode(shape, found, detail, keep, ends)
        self._keep_class(key, found, chunks, ends)
        return chunks

    def encode_names(self, shape: Shape, namespace: str, names: Sequence[InstanceName]) -> Sequence[bytes]:
        """Return names that stand alone in the given shape; they may lie in other namespaces."""
        parts = {home: self._parts(shape, home) for home in {each.namespace or namespace for each in names}}
        pieces = []
        for name in names:
            home = name.namespace or namespace
            head, _, tail = parts[home]
            pieces.append(head + self._writer.name(name, home).encode() + tail)
        return pieces

    async def _encode(
        self, shape: Shape, found: Found, detail: Detail, keep: bool, ends: list[tuple[int, int]] | None = None
    ) -> list[bytes]:
        """Return chunks, and add to ``ends`` in which of them the element of each instance ends, and where."""
        head, middle, tail = self._parts(shape, found.namespace)
        with_name = shape is not Shape.INSTANCE
        with_instance = "{instance}" in shape.value
        chunks: list[bytes] = []
        pieces: list[bytes | memoryview] = []
        size = 0
        began = perf_counter()
        for instance in found.instances:
            pieces.append(head)
            size += len(head)
            if with_name:
                name = self._name(instance, found.namespace, keep)
                pieces.append(name)
                size += len(name)
            if with_instance:
                body = self._instance(instance, found.namespace, detail, keep)
                pieces += (middle, body)
                size += len(middle) + len(body)
                if ends is not None:
                    ends.append((len(chunks), size))
            pieces.append(tail)
            size += len(tail)
            if size > CHUNK:
                chunks.append(b"".join(pieces))
                pieces, size = [], 0
            if perf_counter() - began > SLICE:
                await asyncio.sleep(0)
                began = perf_counter()
        chunks.append(b"".join(pieces))
        return chunks

    def _parts(self, shape: Shape, namespace: str) -> tuple[bytes, bytes, bytes]:
        """Return what stands before the name, between name and instance, and at the end."""
        path = f"<INSTANCEPATH>{namespace_path(self._host, namespace)}{{name}}</INSTANCEPATH>"
        text = shape.value.replace("{path}", path)
        if "{name}" not in text:
            return b"", b"", b""
        head, rest = text.split("{name}")
        middle, _, tail = rest.partition("{instance}") if "{instance}" in rest else ("", "", rest)
        return head.encode(), middle.encode(), tail.encode()

    def _name(self, instance: Instance, namespace: str, keep: bool) -> bytes:
        key = f"name {namespace}"
        kept = instance.cache.get(key)
        if kept is not None:
            return cast(bytes, kept[0])
        if instance.name is None:
            raise CimError(Status.FAILED, f"The provider gave an instance of {instance.class_name} without a name.")
        return self._made(instance, key, self._writer.name(instance.name, namespace), keep)

    def _instance(self, instance: Instance, namespace: str, detail: Detail, keep: bool) -> bytes | memoryview:
        if not detail.is_full:
            return self._writer.instance(instance, namespace, detail.properties, detail.class_origin).encode()
        key = _element(namespace)
        kept = instance.cache.get(key)
        if kept is not None:
            return cast(bytes | memoryview, kept[0])
        return self._made(instance, key, self._writer.instance(instance, namespace), keep)

    def _made(self, instance: Instance, key: str, text: str, keep: bool) -> bytes:
        data = text.encode()
        if keep and self.used + len(data) <= self._budget:
            instance.cache[key] = data, self._own(data)
        return data

    def _own(self, data: bytes) -> _Owned:
        self._used += len(data)
        return _Owned(len(data), self._freed)

    def _keep_class(
        self, key: tuple[str, str, Shape], found: Found, chunks: Sequence[bytes], ends: Sequence[tuple[int, int]]
    ) -> None:
        self._classes.pop(key, None)
        if sum(map(len, chunks)) > self._budget // 2:
            return
        owned = [self._own(each) for each in chunks]
        self._classes[key] = _Joined(found.instances, chunks, owned)
        element = _element(found.namespace)
        if all(element in each.cache for each in found.instances):
            views = [memoryview(each) for each in chunks]
            for instance, (number, end) in zip(found.instances, ends, strict=False):
                size = len(instance.cache[element][0])
                instance.cache[element] = views[number][end - size : end], owned[number]
        while self.used > self._budget and self._classes:
            self._classes.popitem(last=False)


def _element(namespace: str) -> str:
    """Return where an instance keeps its element."""
    return f"instance {namespace}"
