"""Answers calls: intrinsic methods by their table, extrinsic methods by the declaration in their class."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import structlog

from cim_provider import CimError, Context, InstanceName, Principal, Status, Value
from pycimom.cimxml import responses
from pycimom.cimxml.reading import Reader
from pycimom.cimxml.requests import BadMessageError, Call, Element, Target
from pycimom.cimxml.writing import WrongValueError
from pycimom.intrinsic import INTRINSIC, Created, Services, existing
from pycimom.repository import CimClass, CimMethod

log = structlog.get_logger(__name__)
audit = structlog.get_logger("pycimom.audit")


class Cimom:
    """The server behind the wire: a call and who makes it go in, the content of the response comes out."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def answer(self, call: Call, principal: Principal, peer: str | None) -> Sequence[bytes]:
        """Return the content of IMETHODRESPONSE or METHODRESPONSE; errors of the operation are ERROR elements.

        BadMessageError only for messages that are not valid CIM-XML.
        """
        mutates = call.target is not None or (call.name in INTRINSIC and INTRINSIC[call.name].mutates)
        try:
            content = await self._answer(call, principal, peer)
        except BadMessageError:
            raise
        except CimError as problem:
            return self._refuse(call, principal, problem, mutates)
        except WrongValueError as wrong:
            self._blame(call, wrong)
            failure = CimError(Status.FAILED, "A provider gave a value that is not of the declared type.")
            return self._refuse(call, principal, failure, mutates)
        except Exception:
            log.exception("operation_failed", operation=call.name, namespace=call.namespace)
            failure = CimError(Status.FAILED, "The server could not do this; its log says why.")
            return self._refuse(call, principal, failure, mutates)
        if mutates:
            made = content.name if isinstance(content, Created) else None
            _audit(call, principal, "ok", None if made is None else f"{call.namespace}:{replace(made, namespace=None)}")
        return content

    def _blame(self, call: Call, wrong: WrongValueError) -> None:
        """Log who gave a value that is not what the class declares."""
        class_name = wrong.class_name or (call.target.class_name if call.target is not None else "")
        providers = self._services.broker.providers(call.namespace, class_name)
        log.error(
            "provider_gave_wrong_value",
            provider=[type(each).__name__ for each in providers],
            namespace=call.namespace,
            member=f"{class_name}.{wrong.member}",
            given=wrong.given,
        )

    def _refuse(self, call: Call, principal: Principal, problem: CimError, mutates: bool) -> Sequence[bytes]:
        if mutates:
            _audit(call, principal, problem.status.name)
        return [responses.error(problem)]

    async def _answer(self, call: Call, principal: Principal, peer: str | None) -> Sequence[bytes]:
        """Answer a call. Of several errors, DSP0200 wants the first in its list of the operation's."""
        if call.target is not None:
            context, reader = await self._enter(call, principal, peer)
            return await self._invoke(call, call.target, context, reader)
        operation = INTRINSIC.get(call.name)
        if operation is None:
            raise CimError(Status.NOT_SUPPORTED, f"The operation {call.name} is not supported.")
        if operation.administers:
            Context(principal, call.namespace, peer).require_administrator()
        context, reader = await self._enter(call, principal, peer)
        return await operation.handler(self._services, context, **operation.arguments(reader, call.parameters))

    async def _enter(self, call: Call, principal: Principal, peer: str | None) -> tuple[Context, Reader]:
        """Find the namespace of a call, and have the classes compiled that it names; INVALID_NAMESPACE."""
        repository = self._services.broker.repository
        namespace = next((each for each in repository.namespaces() if each.lower() == call.namespace.lower()), None)
        if namespace is None:
            raise CimError(Status.INVALID_NAMESPACE, f"There is no namespace {call.namespace}.")
        for class_name in _class_names(call):
            if repository.is_pending(namespace, class_name):
                await asyncio.to_thread(repository.ensure, namespace, class_name)
        return Context(principal, namespace, peer), Reader(repository, namespace)

    async def _invoke(self, call: Call, target: Target, context: Context, reader: Reader) -> Sequence[bytes]:
        try:
            declared = self._services.broker.repository.get(context.namespace, target.class_name)
            name = (
                InstanceName(declared.name, ())
                if target.instance_name is None
                else reader.instance_name(target.instance_name, "The target")
            )
        except CimError as error:
            # DSP0200 5.3.3: a target whose class does not exist is not found.
            status = Status.NOT_FOUND if error.status is Status.INVALID_CLASS else error.status
            raise CimError(status, error.description) from None
        method = declared.find_method(call.name)
        if method is None:
            if name.keys:
                await existing(self._services, context, name)
            raise CimError(Status.METHOD_NOT_FOUND, f"{declared.name} has no method {call.name}.")
        inputs = _inputs(call, declared, method, reader)
        result = await self._services.broker.invoke_method(context, name, method.name, inputs)
        content = self._services.writer.method_result(method, result.value, dict(result.outputs), context.namespace)
        return [content.encode()]


def _inputs(call: Call, declared: CimClass, method: CimMethod, reader: Reader) -> dict[str, Value]:
    """Return the values of the parameters that have one, in the order of their declarations."""
    inputs: dict[str, Value] = {}
    for name, element in call.parameters.items():
        parameter = method.find_parameter(name)
        if parameter is None or not parameter.is_input:
            raise CimError(
                Status.INVALID_PARAMETER, f"The method {method.name} of {declared.name} takes no parameter {name}."
            )
        value = reader.value(element, parameter, f"The parameter {parameter.name}")
        if value is not None:
            inputs[parameter.name] = value
    return {name: inputs[name] for name in method.parameters if name in inputs}


def _class_names(call: Call) -> Iterator[str]:
    """Yield the classes that a call names, and perhaps words of a query that are none."""
    if call.target is not None:
        yield call.target.class_name
    for name, element in call.parameters.items():
        if element is None:
            continue
        for tag, attribute in (("CLASSNAME", "NAME"), ("INSTANCENAME", "CLASSNAME"), ("INSTANCE", "CLASSNAME")):
            yield from (each.get(attribute) or "" for each in element.iter(tag))
        if name.lower() in ("query", "filterquery"):
            yield from re.findall(r"\w+", element.text or "")


_OBJECTS = frozenset(
    name.lower()
    for name in (
        *("InstanceName", "ModifiedInstance", "NewInstance"),
        *("ClassName", "NewClass", "ModifiedClass", "QualifierName", "QualifierDeclaration"),
    )
)
"""The parameters that say what an operation changes, in lower case."""


def _audit(call: Call, principal: Principal, outcome: str, made: str | None = None) -> None:
    """Log who did what to what, and how it went; never any value but keys."""
    audit.info("audit", user=principal.name, operation=call.name, object=made or _object_of(call), outcome=outcome)


def _object_of(call: Call) -> str:
    if call.target is not None:
        name = call.target.instance_name
        return f"{call.namespace}:{call.target.class_name if name is None else _path(name)}"
    changed = (each for name, each in call.parameters.items() if each is not None and name.lower() in _OBJECTS)
    element = next(changed, None)
    if element is None:
        return f"{call.namespace}:"
    if element.tag == "VALUE.NAMEDINSTANCE" and len(element):
        element = element[0]
    if element.tag == "INSTANCENAME":
        return f"{call.namespace}:{_path(element)}"
    return f"{call.namespace}:{element.get('CLASSNAME') or element.get('NAME') or element.text or ''}"


def _path(name: Element) -> str:
    """Return an INSTANCENAME as text."""
    keys = []
    for binding in name:
        inner = next(binding.iter("INSTANCENAME"), None)
        value = _path(inner) if inner is not None else f'"{next((each.text for each in binding), None) or ""}"'
        keys.append(f"{binding.get('NAME') or ''}={value}")
    return f"{name.get('CLASSNAME')}.{','.join(keys)}"
