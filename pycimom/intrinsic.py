"""The intrinsic methods of DSP0200 5.3.2: what each takes and who answers it, declared once in one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cim_provider import CimError, Context, Instance, InstanceName, Status
from pycimom.broker import Broker
from pycimom.cimxml import reading, responses
from pycimom.cimxml.reading import Reader
from pycimom.cimxml.requests import Element
from pycimom.cimxml.writing import Writer
from pycimom.enumerations import Batch, Enumerations, Kind, Results
from pycimom.filtering import filtered, select_query
from pycimom.fragments import Detail, Found, Fragments, Shape
from pycimom.reading import AssociationFilter
from pycimom.repository import CimClass
from pycimom.schema_operations import SchemaOperations


@dataclass(frozen=True)
class Services:
    """What the operations work with."""

    broker: Broker
    writer: Writer
    fragments: Fragments
    enumerations: Enumerations
    schema: SchemaOperations


Content = Sequence[bytes]
Handler = Callable[..., Awaitable[Content]]


class Created(list[bytes]):
    """The content of a response that tells of a new instance."""

    def __init__(self, name: InstanceName, content: Content) -> None:
        super().__init__(content)
        self.name = name


Select = Callable[..., Awaitable[Results]]
Read = Callable[[Reader, Element, str], Any]


@dataclass(frozen=True)
class Parameter:
    """An input parameter: its name, how it is read, and what holds if it is absent or NULL."""

    name: str
    read: Read
    default: Any = None
    required: bool = False
    ignored: bool = False
    """Accepted and checked, but without effect, as DSP0200 allows for it."""

    @property
    def keyword(self) -> str:
        """The name as handlers take it: ``PropertyList`` is ``property_list``."""
        return "".join(f"_{each.lower()}" if each.isupper() else each for each in self.name).lstrip("_")


@dataclass(frozen=True)
class Operation:
    """An intrinsic method."""

    handler: Handler
    parameters: tuple[Parameter, ...]
    mutates: bool = False
    """Whether it changes something, so that it belongs in the audit log."""
    administers: bool = False
    """Whether it changes the schema, which only administrators may. Of instances, their providers decide."""

    def arguments(self, reader: Reader, given: Mapping[str, Element | None]) -> dict[str, Any]:
        """Read the parameters of a call. INVALID_PARAMETER for unknown, missing and wrong ones."""
        elements = {name.lower(): element for name, element in given.items()}
        found: dict[str, Any] = {}
        for each in self.parameters:
            element = elements.pop(each.name.lower(), None)
            if element is None and each.required:
                raise CimError(Status.INVALID_PARAMETER, f"The parameter {each.name} is missing.")
            value = each.default if element is None else each.read(reader, element, each.name)
            if not each.ignored:
                found[each.keyword] = value
        if elements:
            name = next(name for name in given if name.lower() in elements)
            raise CimError(Status.INVALID_PARAMETER, f"There is no parameter {name}.")
        return found


# How parameters are read.


def _plain(read: Callable[[Element, str], Any]) -> Read:
    return lambda reader, element, what: read(element, what)


def _source_name(reader: Reader, element: Element, what: str) -> InstanceName:
    try:
        return reader.instance_name(element, what)
    except CimError as error:
        # The operations on associations have no INVALID_CLASS.
        raise CimError(Status.INVALID_PARAMETER, error.description) from None


def _object_name(reader: Reader, element: Element, what: str) -> InstanceName | str:
    if element.tag == "CLASSNAME":
        return reading.read_class_name(element, what)
    return _source_name(reader, element, what)


def _new_instance(reader: Reader, element: Element, what: str) -> tuple[CimClass, dict[str, Any]]:
    try:
        return reader.instance(element, what)
    except CimError as error:
        # CreateInstance has no NO_SUCH_PROPERTY.
        status = Status.INVALID_PARAMETER if error.status is Status.NO_SUCH_PROPERTY else error.status
        raise CimError(status, error.description) from None


def _named_instance(
    reader: Reader, element: Element, what: str
) -> tuple[InstanceName, Callable[[], tuple[CimClass, dict[str, Any]]]]:
    """Read the name, and leave the instance unread until it is known that there is one."""
    if element.tag != "VALUE.NAMEDINSTANCE" or len(element) != 2:
        raise CimError(Status.INVALID_PARAMETER, f"{what} is given as VALUE.NAMEDINSTANCE, not as {element.tag}.")
    return reader.instance_name(element[0], what), lambda: reader.instance(element[1], what)


_BOOLEAN = _plain(reading.read_boolean)
_STRING = _plain(reading.read_string)
_STRINGS = _plain(reading.read_strings)
_UINT32 = _plain(reading.read_uint32)
_CLASS = _plain(reading.read_class_name)


def _raw(reader: Reader, element: Element, what: str) -> Callable[..., Any]:
    """Leave a value unread until its type is known."""
    return lambda declared, status: reader.value(element, declared, what, status)


def _declaration(tag: str) -> Read:
    """Leave the declaration of a class or qualifier as it is: the class repository reads it."""

    def read(reader: Reader, element: Element, what: str) -> Element:
        if element.tag != tag:
            raise CimError(Status.INVALID_PARAMETER, f"{what} is given as {tag}, not as {element.tag}.")
        return element

    return read


CLASS_NAME = Parameter("ClassName", _CLASS, required=True)
OPTIONAL_CLASS_NAME = Parameter("ClassName", _CLASS)
QUALIFIER_NAME = Parameter("QualifierName", _STRING, required=True)
INSTANCE_NAME = Parameter("InstanceName", Reader.instance_name, required=True)
SOURCE_NAME = Parameter("InstanceName", _source_name, required=True)
OBJECT_NAME = Parameter("ObjectName", _object_name, required=True)
PROPERTY_LIST = Parameter("PropertyList", _STRINGS)
CLASS_ORIGIN = Parameter("IncludeClassOrigin", _BOOLEAN, False)
INSTANCE_QUALIFIERS = Parameter("IncludeQualifiers", _BOOLEAN, False, ignored=True)
INSTANCE_LOCAL_ONLY = Parameter("LocalOnly", _BOOLEAN, True, ignored=True)
DEEP = Parameter("DeepInheritance", _BOOLEAN, True)
ASSOCIATORS = (
    Parameter("AssocClass", _CLASS),
    Parameter("ResultClass", _CLASS),
    Parameter("Role", _STRING),
    Parameter("ResultRole", _STRING),
)
REFERENCES = (Parameter("ResultClass", _CLASS), Parameter("Role", _STRING))
CLASS_DETAIL = (
    Parameter("LocalOnly", _BOOLEAN, True),
    Parameter("IncludeQualifiers", _BOOLEAN, True),
    CLASS_ORIGIN,
)
SHALLOW = Parameter("DeepInheritance", _BOOLEAN, False)
SESSION = (
    Parameter("OperationTimeout", _UINT32),
    Parameter("ContinueOnError", _BOOLEAN, False),
    Parameter("MaxObjectCount", _UINT32, 0),
)
OPEN = (Parameter("FilterQueryLanguage", _STRING), Parameter("FilterQuery", _STRING), *SESSION)
ENUMERATION_CONTEXT = Parameter("EnumerationContext", _STRING, required=True)
PULL = (
    ENUMERATION_CONTEXT,
    Parameter("MaxObjectCount", _UINT32, required=True),
)


# What is read: each selection serves a plain operation and its pulled form.


def _detail(property_list: Collection[str] | None, class_origin: bool, within: CimClass | None = None) -> Detail:
    properties = None if property_list is None else frozenset(each.lower() for each in property_list)
    if within is not None:
        exposed = frozenset(each.lower() for each in within.properties)
        properties = exposed if properties is None else properties & exposed
    return Detail(properties, class_origin)


async def _select_instances(
    services: Services,
    context: Context,
    shape: Shape,
    class_name: str,
    deep_inheritance: bool = True,
    include_class_origin: bool = False,
    property_list: list[str] | None = None,
) -> Results:
    found = await services.broker.read().instances(context.namespace, class_name)
    within = None if deep_inheritance else services.broker.repository.get(context.namespace, class_name)
    return Results(context.namespace, shape, found, detail=_detail(property_list, include_class_origin, within))


async def _select_associators(
    services: Services,
    context: Context,
    shape: Shape,
    instance_name: InstanceName,
    include_class_origin: bool = False,
    property_list: list[str] | None = None,
    **wanted: str | None,
) -> Results:
    chosen = AssociationFilter(**wanted)
    found = await services.broker.look(lambda reading: reading.associators(context.namespace, instance_name, chosen))
    return Results(context.namespace, shape, found, detail=_detail(property_list, include_class_origin))


async def _select_associator_names(
    services: Services, context: Context, shape: Shape, instance_name: InstanceName, **wanted: str | None
) -> Results:
    chosen = AssociationFilter(**wanted)
    names = await services.broker.look(
        lambda reading: reading.associator_names(context.namespace, instance_name, chosen)
    )
    return Results(context.namespace, shape, names=names)


async def _select_references(
    services: Services,
    context: Context,
    shape: Shape,
    instance_name: InstanceName,
    result_class: str | None,
    role: str | None,
    include_class_origin: bool = False,
    property_list: list[str] | None = None,
) -> Results:
    found = await services.broker.look(
        lambda reading: reading.references(context.namespace, instance_name, result_class, role)
    )
    return Results(context.namespace, shape, found, detail=_detail(property_list, include_class_origin))


def _read(select: Select, shape: Shape, *parameters: Parameter) -> Operation:
    async def handle(services: Services, context: Context, **arguments: Any) -> Content:
        results = await select(services, context, shape, **arguments)
        return responses.return_value(await results.all(services.fragments))

    return Operation(handle, parameters)


def _traverse(select: Select, shape: Shape, of_classes: Handler, *parameters: Parameter) -> Operation:
    """A read that starts at an object: an instance, or a class for its associations in the schema."""

    async def handle(
        services: Services, context: Context, object_name: InstanceName | str, **arguments: Any
    ) -> Content:
        if isinstance(object_name, str):
            return await of_classes(services.schema, context, object_name, **arguments)
        arguments.pop("include_qualifiers", None)
        results = await select(services, context, shape, object_name, **arguments)
        return responses.return_value(await results.all(services.fragments))

    return Operation(handle, (OBJECT_NAME, *parameters))


def _open(select: Select, shape: Shape, kind: Kind, *parameters: Parameter) -> Operation:
    async def handle(
        services: Services,
        context: Context,
        filter_query_language: str | None,
        filter_query: str | None,
        operation_timeout: int | None,
        continue_on_error: bool,
        max_object_count: int,
        **arguments: Any,
    ) -> Content:
        _check_open(services, operation_timeout, continue_on_error)
        if (filter_query is None) != (filter_query_language is None):
            raise CimError(Status.INVALID_PARAMETER, "FilterQuery and FilterQueryLanguage belong together.")
        results = await select(services, context, shape, **arguments)
        if filter_query is not None and filter_query_language is not None:
            class_name = arguments.get("class_name") or arguments.get("result_class")
            if class_name is None or results.names:
                raise CimError(
                    Status.FILTERED_ENUMERATION_NOT_SUPPORTED,
                    "Associated instances can be filtered if ResultClass is given, their paths cannot.",
                )
            results = await filtered(
                results, filter_query, filter_query_language, services.broker.repository, class_name
            )
        owner = (context.principal.name, context.namespace)
        return _batch(await services.enumerations.open(owner, kind, results, operation_timeout, max_object_count))

    return Operation(handle, (*parameters, *OPEN))


def _pull(kind: Kind) -> Operation:
    async def handle(services: Services, context: Context, enumeration_context: str, max_object_count: int) -> Content:
        owner = (context.principal.name, context.namespace)
        return _batch(await services.enumerations.pull(owner, kind, enumeration_context, max_object_count))

    return Operation(handle, PULL)


def _batch(batch: Batch) -> Content:
    return [
        *responses.return_value(batch.pieces),
        responses.output("EndOfSequence", "boolean", "TRUE" if batch.context is None else "FALSE"),
        responses.output("EnumerationContext", "string", batch.context or ""),
    ]


async def _exec_query(services: Services, context: Context, query_language: str, query: str) -> Content:
    results, _ = await select_query(services.broker, context, Shape.OBJECT_WITH_PATH, query, query_language)
    return responses.return_value(await results.all(services.fragments))


async def _open_query(
    services: Services,
    context: Context,
    filter_query_language: str,
    filter_query: str,
    return_query_result_class: bool,
    operation_timeout: int | None,
    continue_on_error: bool,
    max_object_count: int,
) -> Content:
    _check_open(services, operation_timeout, continue_on_error)
    results, query = await select_query(services.broker, context, Shape.INSTANCE, filter_query, filter_query_language)
    owner = (context.principal.name, context.namespace)
    batch = await services.enumerations.open(owner, Kind.INSTANCES, results, operation_timeout, max_object_count)
    if not return_query_result_class:
        return _batch(batch)
    element = services.broker.repository.class_xml(
        context.namespace, query.class_name, False, True, False, query.properties
    )
    return [*_batch(batch), b'<PARAMVALUE NAME="QueryResultClass">', element, b"</PARAMVALUE>"]


def _check_open(services: Services, operation_timeout: int | None, continue_on_error: bool) -> None:
    services.enumerations.check_timeout(operation_timeout)
    if continue_on_error:
        raise CimError(Status.CONTINUATION_ON_ERROR_NOT_SUPPORTED, "ContinueOnError is not supported.")


def _schema(handler: Handler, *parameters: Parameter, changes: bool = False) -> Operation:
    async def handle(services: Services, context: Context, **arguments: Any) -> Content:
        return await handler(services.schema, context, **arguments)

    return Operation(handle, parameters, mutates=changes, administers=changes)


# Operations that are not selections.


async def _get_instance(
    services: Services,
    context: Context,
    instance_name: InstanceName,
    include_class_origin: bool,
    property_list: list[str] | None,
) -> Content:
    instance = await existing(services, context, instance_name)
    detail = _detail(property_list, include_class_origin)
    found = Found(context.namespace, [instance])
    return responses.return_value(await services.fragments.encode(Shape.INSTANCE, found, detail))


async def _get_property(
    services: Services, context: Context, instance_name: InstanceName, property_name: str
) -> Content:
    instance = await existing(services, context, instance_name)
    declared = services.broker.repository.get(context.namespace, instance_name.class_name).find_property(property_name)
    if declared is None:
        raise CimError(Status.NO_SUCH_PROPERTY, f"{instance_name.class_name} has no property {property_name}.")
    value = instance.get(declared.name)
    if value is None:
        return []
    return responses.return_value([services.writer.value(declared, value, context.namespace).encode()])


async def _create_instance(
    services: Services, context: Context, new_instance: tuple[CimClass, dict[str, Any]]
) -> Content:
    declared, values = new_instance
    if declared.is_abstract:
        raise CimError(Status.INVALID_CLASS, f"{declared.name} is abstract: it has no instances of its own.")
    instance = Instance(declared.name, {name: value for name, value in values.items() if value is not None})
    name = await services.broker.create_instance(context, instance)
    return Created(name, responses.return_value([services.writer.name(name, context.namespace).encode()]))


async def _modify_instance(
    services: Services,
    context: Context,
    modified_instance: tuple[InstanceName, Callable[[], tuple[CimClass, dict[str, Any]]]],
    property_list: list[str] | None,
) -> Content:
    name, read = modified_instance
    try:
        changes = _changes(name, *read(), property_list)
    except CimError as error:
        if error.status in (Status.NO_SUCH_PROPERTY, Status.TYPE_MISMATCH):
            await existing(services, context, name)  # NOT_FOUND comes first
        raise
    await services.broker.modify_instance(context, name, changes, None if property_list is None else list(changes))
    return []


def _changes(
    name: InstanceName, declared: CimClass, values: Mapping[str, Any], property_list: list[str] | None
) -> dict[str, Any]:
    """Return the properties that ModifyInstance sets. DSP0200 5.3.2.8."""
    if declared.name != name.class_name:
        raise CimError(
            Status.INVALID_PARAMETER, f"ModifiedInstance is a {declared.name}, its name a {name.class_name}."
        )
    wanted = list(values) if property_list is None else []
    for each in property_list or ():
        property_ = declared.find_property(each)
        if property_ is None:
            raise CimError(Status.NO_SUCH_PROPERTY, f"PropertyList: {declared.name} has no property {each}.")
        wanted.append(property_.name)
    changes = {}
    for each in wanted:
        property_ = declared.properties[each]
        if not property_.key:
            changes[each] = values.get(each, property_.default)
        elif each in values and not _same_key(values[each], name.get(each)):
            raise CimError(Status.INVALID_PARAMETER, f"The key {each} of an instance cannot be changed.")
    return changes


async def _set_property(
    services: Services,
    context: Context,
    instance_name: InstanceName,
    property_name: str,
    new_value: Callable[..., Any] | None,
) -> Content:
    await existing(services, context, instance_name)
    declared = services.broker.repository.get(context.namespace, instance_name.class_name).find_property(property_name)
    if declared is None:
        raise CimError(Status.NO_SUCH_PROPERTY, f"{instance_name.class_name} has no property {property_name}.")
    if declared.key:
        raise CimError(Status.INVALID_PARAMETER, f"The key {declared.name} of an instance cannot be changed.")
    value = None if new_value is None else new_value(declared, Status.TYPE_MISMATCH)
    await services.broker.modify_instance(context, instance_name, {declared.name: value}, [declared.name])
    return []


async def _delete_instance(services: Services, context: Context, instance_name: InstanceName) -> Content:
    await services.broker.delete_instance(context, instance_name)
    return []


async def _enumeration_count(services: Services, context: Context, enumeration_context: str) -> Content:
    count = services.enumerations.count((context.principal.name, context.namespace), enumeration_context)
    return responses.return_value([f"<VALUE>{count}</VALUE>".encode()])


async def _close_enumeration(services: Services, context: Context, enumeration_context: str) -> Content:
    services.enumerations.close((context.principal.name, context.namespace), enumeration_context)
    return []


async def existing(services: Services, context: Context, name: InstanceName) -> Instance:
    """Return an instance; NOT_FOUND if there is none of that name."""
    instance = await services.broker.look(lambda reading: reading.instance(context.namespace, name))
    if instance is None:
        raise CimError(Status.NOT_FOUND, f"There is no instance {name}.")
    return instance


def _same_key(value: Any, key: Any) -> bool:
    if isinstance(value, InstanceName) and isinstance(key, InstanceName):
        return value.identity == key.identity
    return bool(value == key)


_INSTANCES = (CLASS_NAME, DEEP, CLASS_ORIGIN, PROPERTY_LIST)
_FOUND = (CLASS_ORIGIN, PROPERTY_LIST)
_QUALIFIERS = Parameter("IncludeQualifiers", _BOOLEAN, False)

INTRINSIC: Final[Mapping[str, Operation]] = {
    "GetInstance": Operation(
        _get_instance, (INSTANCE_NAME, INSTANCE_LOCAL_ONLY, INSTANCE_QUALIFIERS, CLASS_ORIGIN, PROPERTY_LIST)
    ),
    "EnumerateInstances": _read(
        _select_instances, Shape.NAMED_INSTANCE, *_INSTANCES, INSTANCE_LOCAL_ONLY, INSTANCE_QUALIFIERS
    ),
    "EnumerateInstanceNames": _read(_select_instances, Shape.INSTANCE_NAME, CLASS_NAME),
    "Associators": _traverse(
        _select_associators, Shape.OBJECT_WITH_PATH, SchemaOperations.associators, *ASSOCIATORS, _QUALIFIERS, *_FOUND
    ),
    "AssociatorNames": _traverse(
        _select_associator_names, Shape.OBJECT_PATH, SchemaOperations.associator_names, *ASSOCIATORS
    ),
    "References": _traverse(
        _select_references, Shape.OBJECT_WITH_PATH, SchemaOperations.references, *REFERENCES, _QUALIFIERS, *_FOUND
    ),
    "ReferenceNames": _traverse(_select_references, Shape.OBJECT_PATH, SchemaOperations.reference_names, *REFERENCES),
    "OpenEnumerateInstances": _open(
        _select_instances,
        Shape.INSTANCE_WITH_PATH,
        Kind.INSTANCES_WITH_PATH,
        *_INSTANCES,
        INSTANCE_LOCAL_ONLY,
        INSTANCE_QUALIFIERS,
    ),
    "OpenEnumerateInstancePaths": _open(_select_instances, Shape.INSTANCE_PATH, Kind.PATHS, CLASS_NAME),
    "OpenAssociatorInstances": _open(
        _select_associators, Shape.INSTANCE_WITH_PATH, Kind.INSTANCES_WITH_PATH, SOURCE_NAME, *ASSOCIATORS, *_FOUND
    ),
    "OpenAssociatorInstancePaths": _open(
        _select_associator_names, Shape.INSTANCE_PATH, Kind.PATHS, SOURCE_NAME, *ASSOCIATORS
    ),
    "OpenReferenceInstances": _open(
        _select_references, Shape.INSTANCE_WITH_PATH, Kind.INSTANCES_WITH_PATH, SOURCE_NAME, *REFERENCES, *_FOUND
    ),
    "OpenReferenceInstancePaths": _open(_select_references, Shape.INSTANCE_PATH, Kind.PATHS, SOURCE_NAME, *REFERENCES),
    "ExecQuery": Operation(
        _exec_query, (Parameter("QueryLanguage", _STRING, required=True), Parameter("Query", _STRING, required=True))
    ),
    "OpenQueryInstances": Operation(
        _open_query,
        (
            Parameter("FilterQueryLanguage", _STRING, required=True),
            Parameter("FilterQuery", _STRING, required=True),
            Parameter("ReturnQueryResultClass", _BOOLEAN, False),
            *SESSION,
        ),
    ),
    **{kind.value: _pull(kind) for kind in Kind},
    "CloseEnumeration": Operation(_close_enumeration, (ENUMERATION_CONTEXT,)),
    "EnumerationCount": Operation(_enumeration_count, (ENUMERATION_CONTEXT,)),
    "GetProperty": Operation(_get_property, (INSTANCE_NAME, Parameter("PropertyName", _STRING, required=True))),
    "SetProperty": Operation(
        _set_property,
        (INSTANCE_NAME, Parameter("PropertyName", _STRING, required=True), Parameter("NewValue", _raw)),
        mutates=True,
    ),
    "CreateInstance": Operation(
        _create_instance, (Parameter("NewInstance", _new_instance, required=True),), mutates=True
    ),
    "ModifyInstance": Operation(
        _modify_instance,
        (Parameter("ModifiedInstance", _named_instance, required=True), INSTANCE_QUALIFIERS, PROPERTY_LIST),
        mutates=True,
    ),
    "DeleteInstance": Operation(_delete_instance, (INSTANCE_NAME,), mutates=True),
    "GetClass": _schema(SchemaOperations.get_class, CLASS_NAME, *CLASS_DETAIL, PROPERTY_LIST),
    "EnumerateClasses": _schema(SchemaOperations.enumerate_classes, OPTIONAL_CLASS_NAME, SHALLOW, *CLASS_DETAIL),
    "EnumerateClassNames": _schema(SchemaOperations.enumerate_class_names, OPTIONAL_CLASS_NAME, SHALLOW),
    "CreateClass": _schema(
        SchemaOperations.create_class, Parameter("NewClass", _declaration("CLASS"), required=True), changes=True
    ),
    "ModifyClass": _schema(
        SchemaOperations.modify_class, Parameter("ModifiedClass", _declaration("CLASS"), required=True), changes=True
    ),
    "DeleteClass": _schema(SchemaOperations.delete_class, CLASS_NAME, changes=True),
    "GetQualifier": _schema(SchemaOperations.get_qualifier, QUALIFIER_NAME),
    "SetQualifier": _schema(
        SchemaOperations.set_qualifier,
        Parameter("QualifierDeclaration", _declaration("QUALIFIER.DECLARATION"), required=True),
        changes=True,
    ),
    "DeleteQualifier": _schema(SchemaOperations.delete_qualifier, QUALIFIER_NAME, changes=True),
    "EnumerateQualifiers": _schema(SchemaOperations.enumerate_qualifiers),
}
"""All intrinsic methods that the server knows, by name."""
