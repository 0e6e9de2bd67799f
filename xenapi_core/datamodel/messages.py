"""Messages of a class: what ``message`` declares in a class body. The function's signature is the declaration."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, get_type_hints

from xenapi_core.datamodel import types
from xenapi_core.datamodel.roles import POOL_ADMIN, Role
from xenapi_core.datamodel.types import Type

P = ParamSpec("P")
R = TypeVar("R")

REQUIRED: Any = inspect.Parameter.empty


@dataclass(frozen=True)
class Parameter:
    """A parameter on the wire. One with a default may be left out."""

    name: str
    type: Type
    default: Any = REQUIRED


class Message(Generic[P, R]):
    """A message of a class. Called from the program it is its function: ``await VM.start(call, vm)``."""

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str = "",
        role: Role = POOL_ADMIN,
        asynchronous: bool = False,
        cancellable: bool = True,
        waits: bool = False,
        session: bool = True,
        errors: tuple[str, ...] = (),
        parameters: tuple[Parameter, ...] | None = None,
        result: Type | None = None,
        doc: str = "",
        implicit: bool = False,
    ) -> None:
        self.function = function
        self.cls = ""
        self.name = name or function.__name__.rstrip("_")
        self.role = role
        self.asynchronous = asynchronous
        self.cancellable = cancellable
        self.waits = waits
        self.session = session
        self.errors = errors
        self.implicit = implicit
        self.doc = doc or inspect.getdoc(function) or ""
        if parameters is None or result is None:
            parameters, result = _signature(function)
        self.parameters = parameters
        self.result = result
        self.required = sum(parameter.default is REQUIRED for parameter in parameters)
        self._other: Message[..., Any] | None = None

    def also(self, function: Callable[..., Any]) -> Message[P, R]:
        """Declare the form that the other generation gives the message: ``@create.also``.

        The two have the same name, role and errors, and are told apart by the number of their parameters.
        """
        self._other = Message(function, name=self.name, role=self.role, errors=self.errors)
        return self

    def form(self, given: int) -> Message[..., Any]:
        """Return the form of the message that takes so many parameters; this one if none does."""
        other = self._other
        return other if other is not None and other.required <= given <= len(other.parameters) else self

    @property
    def method(self) -> str:
        """The full name, such as "VM.start"."""
        return f"{self.cls}.{self.name}"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Carry it out, from within the program."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<message {self.method}>"


def _signature(function: Callable[..., Any]) -> tuple[tuple[Parameter, ...], Type]:
    """Return the wire parameters (all but the first, the Call) and the result that a function's signature declares."""
    hints = get_type_hints(function, include_extras=True)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    try:
        return (
            tuple(Parameter(p.name.rstrip("_"), types.of(hints[p.name]), p.default) for p in parameters),
            types.of(hints["return"]),
        )
    except KeyError as error:
        raise TypeError(f"message {function.__qualname__}: {error} has no annotation") from error
    except TypeError as error:
        raise TypeError(f"message {function.__qualname__}: {error}") from error


def message(
    *,
    role: Role = POOL_ADMIN,
    asynchronous: bool = False,
    cancellable: bool = True,
    waits: bool = False,
    session: bool = True,
    errors: tuple[str, ...] = (),
    name: str = "",
) -> Callable[[Callable[P, R]], Message[P, R]]:
    """Declare a message of a class: a function, plain or async, of a Call and the wire parameters.

    ``role``: the weakest role that may send it. ``asynchronous``: also offered as ``Async.Class.message``.
    ``cancellable=False``: as a task it cannot be cancelled, for what it does cannot be undone.
    ``waits``: it only waits for something, so it ends when its client hangs up; others run to their end.
    ``session=False``: it needs no session (then the call's session is empty). ``errors``: the codes it may raise.
    ``name``: its name on the wire, where Python cannot say it; a trailing underscore of the function or of a parameter
    is dropped anyway.
    """

    def declare(function: Callable[P, R]) -> Message[P, R]:
        return Message(
            function,
            name=name,
            role=role,
            asynchronous=asynchronous,
            cancellable=cancellable,
            waits=waits,
            session=session,
            errors=errors,
        )

    return declare
