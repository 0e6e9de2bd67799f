"""Dispatch: who calls, what is called, with what; then the call itself."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xenapi_core.access.sessions import Sessions
from xenapi_core.classes.task import Handle, Tasks
from xenapi_core.datamodel.call import Call, Caller, TaskHandle
from xenapi_core.datamodel.errors import XenApiError
from xenapi_core.datamodel.fields import Qualifier
from xenapi_core.datamodel.messages import REQUIRED, Message
from xenapi_core.datamodel.registry import Datamodel
from xenapi_core.datamodel.roles import READ_ONLY, Role
from xenapi_core.datamodel.types import NULL, STRING, MismatchError, Reference, Set, Type
from xenapi_core.store.store import Store
from xenapi_core.wire.codec import Incoming

ASYNC = "Async."
LIST_METHODS = "system.listMethods"
IS_ALIVE = "system.isAlive:"


@dataclass(frozen=True)
class Answer:
    """What a call returned."""

    value: Any
    type: Type
    bare: bool = False
    """Whether it is an answer of the protocol itself, which has no status around it in XML-RPC."""


@dataclass(frozen=True)
class Visitor:
    """Who sends a call, as far as the door can tell."""

    caller: Caller
    authentication: str


class Dispatcher:
    """Answers calls. All errors that a client is to see are XenApiErrors."""

    def __init__(self, model: Datamodel, store: Store, services: Mapping[type, Any]) -> None:
        """``services`` are the server's parts that messages may ask for; Sessions and Tasks have to be among them."""
        self._model = model
        self._store = store
        self._services = services
        self._sessions: Sessions = services[Sessions]
        self._tasks: Tasks = services[Tasks]
        self._by_alias = {name.replace(".", "_", 1): message for name, message in model.messages.items()}
        self._at_work: set[asyncio.Task[Any]] = set()

    async def answer(self, incoming: Incoming, visitor: Visitor) -> Answer:
        """Carry out a call."""
        if incoming.method.startswith("system."):
            return self._system(incoming)
        message, asynchronous = self._message(incoming.method)
        message = message.form(len(incoming.parameters) - message.session)
        call, values = self._call(message, incoming, visitor)
        arguments = self._arguments(message, call, values)
        if asynchronous:
            return self._begin(message, call, arguments)
        if message.waits or _reads_only(message):
            return Answer(await _perform(message, call, arguments), message.result)
        try:
            outcome = message.function(call, *arguments)
            if inspect.isawaitable(outcome):
                outcome = await self._to_the_end(outcome)
        finally:
            await self._store.flush()
        return Answer(outcome, message.result)

    def described(self, method: str) -> tuple[str, str]:
        """Return the declared name and the kind of the message that a method names; ("unknown", "") if none.

        Kinds: "wait" (for events), "login", "task" (begun, not ended), "read" (a field or a record), "other".
        """
        if method == LIST_METHODS or method.startswith(IS_ALIVE[:-1]):
            return method.partition(":")[0], "read"
        try:
            message, asynchronous = self._message(method)
        except XenApiError:
            return "unknown", ""
        if asynchronous:
            return f"{ASYNC}{message.method}", "task"
        if not message.session:
            return message.method, "login"
        if message.waits:
            return message.method, "wait"
        return message.method, "read" if _reads_only(message) else "other"

    async def stop(self, grace: float) -> None:
        """Wait for up to ``grace`` seconds for calls under way, then cancel them."""
        if self._at_work:
            _, late = await asyncio.wait(self._at_work, timeout=grace)
            for work in late:
                work.cancel()
            if late:
                await asyncio.wait(late)

    def _system(self, incoming: Incoming) -> Answer:
        if incoming.method == LIST_METHODS:
            return Answer(self._model.methods(), Set(STRING), bare=True)
        if incoming.method.startswith(IS_ALIVE) or incoming.method == IS_ALIVE[:-1]:
            echoed = next(iter(incoming.parameters), "")
            return Answer("" if isinstance(echoed, list | dict) else echoed, STRING)
        raise XenApiError("MESSAGE_METHOD_UNKNOWN", incoming.method)

    def _message(self, method: str) -> tuple[Message[..., Any], bool]:
        """Return the message of a name, and whether it was asked to run as a task."""
        asynchronous = method.startswith(ASYNC)
        name = method.removeprefix(ASYNC)
        message = self._model.messages.get(name) or (None if asynchronous else self._by_alias.get(name))
        if message is None:
            removed = name in self._model.removed
            raise XenApiError("MESSAGE_REMOVED") if removed else XenApiError("MESSAGE_METHOD_UNKNOWN", method)
        if asynchronous and not message.asynchronous:
            raise XenApiError("MESSAGE_METHOD_UNKNOWN", method)
        return message, asynchronous

    def _call(self, message: Message[..., Any], incoming: Incoming, visitor: Visitor) -> tuple[Call, list[Any]]:
        """Check the number of parameters, the session and the role."""
        values = incoming.parameters[1:] if message.session else incoming.parameters
        given = len(values)
        if (message.session and not incoming.parameters) or not message.required <= given <= len(message.parameters):
            expected = message.required if given <= message.required else len(message.parameters)
            raise XenApiError("MESSAGE_PARAMETER_COUNT_MISMATCH", incoming.method, expected, given)
        user, ref = visitor.caller, ""
        if message.session:
            handle = incoming.parameters[0]
            session = self._sessions.get(handle if isinstance(handle, str) else "")
            user, ref = session.user, session.ref
            if user.role < message.role:
                raise _denied(message)
        task = Handle(f"DummyRef:|{uuid.uuid4()}|{message.method}", self._tasks)
        return self._for(task, ref, user, visitor.authentication), values

    def _for(self, task: TaskHandle, session: str, user: Caller, door: str) -> Call:
        return Call(session, user, task, self._store, self._services, door)

    def _arguments(self, message: Message[..., Any], call: Call, values: list[Any]) -> list[Any]:
        resolver = _Resolver(self, call.session)
        arguments = []
        for position, parameter in enumerate(message.parameters):
            if position >= len(values) or (values[position] is None and parameter.default is not REQUIRED):
                arguments.append(parameter.default)
                continue
            try:
                value = parameter.type.accept(values[position], resolver)
            except MismatchError as error:
                raise XenApiError("INVALID_VALUE", parameter.name, error) from error
            if position == 0 and value == NULL and parameter.type == Reference(message.cls):
                raise XenApiError("HANDLE_INVALID", message.cls, NULL)
            arguments.append(value)
        return arguments

    def _begin(self, message: Message[..., Any], call: Call, arguments: list[Any]) -> Answer:
        async def work(handle: Handle) -> Any:
            return await _perform(message, self._for(handle, call.session, call.user, call.door), arguments)

        label, session = f"{ASYNC}{message.method}", call.session
        cancellable = message.cancellable
        ref = self._tasks.begin(call.user, label, message.result, work, session=session, cancellable=cancellable)
        return Answer(ref, Reference("task"))

    async def _to_the_end(self, outcome: Any) -> Any:
        """Wait for a call that, once begun, runs to its end even if its client hangs up."""
        work = asyncio.ensure_future(outcome)
        self._at_work.add(work)
        work.add_done_callback(self._done)
        return await asyncio.shield(work)

    def _done(self, work: asyncio.Task[Any]) -> None:
        self._at_work.discard(work)
        if not work.cancelled():
            work.exception()  # if nobody waits for it any more, nobody has to be told

    def reference(self, cls: str, text: str, session: str) -> str:
        """Return the reference that a reference or a uuid stands for; HANDLE_INVALID if it stands for none."""
        if cls == "session":
            own = self._sessions.get(session)
            if text not in (own.ref, own.uuid):
                raise XenApiError("PERMISSION_DENIED", "a session can only ask about itself")
            return own.ref
        table = self._store.durable
        found = table.get(text)
        if found is None or found.cls != cls:
            found = table.by_uuid(cls, text)
        if found is None:
            raise XenApiError("HANDLE_INVALID", cls, text)
        return found.ref

    def record(self, cls: str, members: Mapping[str, Any], resolver: _Resolver) -> dict[str, Any]:
        """Return the fields of a record that whoever creates an object may give.

        The others are left out, not refused: the C bindings send every field there is.
        """
        accepted = {}
        for name, field in self._model.classes[cls].fields.items():
            if members.get(name) is None or field.qualifier is Qualifier.RO or field.internal:
                continue
            try:
                accepted[name] = field.type.accept(members[name], resolver)
            except MismatchError as error:
                raise XenApiError("INVALID_VALUE", name, error) from error
        return accepted


@dataclass(frozen=True)
class _Resolver:
    """The world as one call sees it (``datamodel.types.Resolver``)."""

    dispatcher: Dispatcher
    session: str

    def reference(self, cls: str, text: str) -> str:
        return self.dispatcher.reference(cls, text, self.session)

    def record(self, cls: str, members: Mapping[str, Any]) -> dict[str, Any]:
        return self.dispatcher.record(cls, members, self)


async def _perform(message: Message[..., Any], call: Call, arguments: list[Any]) -> Any:
    outcome = message.function(call, *arguments)
    return await outcome if inspect.isawaitable(outcome) else outcome


def _denied(message: Message[..., Any]) -> XenApiError:
    able = ", ".join(role.label for role in sorted(Role, reverse=True) if role >= message.role)
    return XenApiError("RBAC_PERMISSION_DENIED", message.method, f"roles with this permission: {able}")


def _reads_only(message: Message[..., Any]) -> bool:
    """Whether a message only tells what is durable already."""
    return message.implicit and message.role is READ_ONLY
