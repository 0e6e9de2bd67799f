"""The messages that every class has without declaring them: what follows from its fields (Xen-API 1.0, section 1.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from xenapi_core.datamodel.call import Call
from xenapi_core.datamodel.errors import XenApiError
from xenapi_core.datamodel.fields import Field, Qualifier
from xenapi_core.datamodel.filters import FilterError, parse
from xenapi_core.datamodel.messages import Message, Parameter
from xenapi_core.datamodel.record import Record
from xenapi_core.datamodel.roles import Role
from xenapi_core.datamodel.types import STRING, VOID, Map, RecordType, Reference, Set, Type
from xenapi_core.datamodel.xenclass import ClassDefinition


def implicit_messages(cls: ClassDefinition) -> Iterator[Message[..., Any]]:
    """Yield the messages that follow from a class's declaration."""
    fields = [field for field in cls.fields.values() if not field.internal]
    if cls.getters:
        yield _get_record(cls)
        yield from (_getter(cls, field) for field in fields)
    if cls.stored:
        yield from _class_messages(cls)
        for field in fields:
            if field.qualifier is Qualifier.RW:
                yield from _setters(cls, field)


def _make(
    cls: ClassDefinition,
    name: str,
    role: Role,
    function: Callable[..., Any],
    parameters: tuple[Parameter, ...],
    result: Type,
    doc: str,
    errors: tuple[str, ...] = (),
    asynchronous: bool = False,
) -> Message[..., Any]:
    message: Message[..., Any] = Message(
        function,
        name=name,
        role=role,
        parameters=parameters,
        result=result,
        doc=doc,
        errors=errors,
        asynchronous=asynchronous,
        implicit=True,
    )
    message.cls = cls.name
    return message


def _self(cls: ClassDefinition) -> Parameter:
    return Parameter("self", Reference(cls.name))


def _class_messages(cls: ClassDefinition) -> Iterator[Message[..., Any]]:
    yield from _enumerations(cls)
    if "uuid" in cls.fields:
        yield _by_uuid(cls)
    if "name_label" in cls.fields:
        yield _by_name_label(cls)
    if cls.creatable:
        yield _create(cls)
    if cls.destroyable:
        yield _destroy(cls)


def _get_record(cls: ClassDefinition) -> Message[..., Any]:
    def get_record(call: Call, self: str) -> Record:
        return cls.read(call, self)

    doc = f"Get all fields of the {cls.name}."
    return _make(cls, "get_record", cls.readers, get_record, (_self(cls),), RecordType(cls.name), doc)


def _enumerations(cls: ClassDefinition) -> Iterator[Message[..., Any]]:
    name, ref, record = cls.name, Reference(cls.name), RecordType(cls.name)

    def get_all(call: Call) -> list[str]:
        return [record.ref for record in call.store.durable.records(name)]

    def get_all_records(call: Call) -> dict[str, Record]:
        return {record.ref: record for record in call.store.durable.records(name)}

    yield _make(cls, "get_all", cls.readers, get_all, (), Set(ref), f"List the references to all {name} objects.")
    doc = f"Get the records of all {name} objects."
    yield _make(cls, "get_all_records", cls.readers, get_all_records, (), Map(ref, record), doc)
    yield from _selections(cls, ref, record)


def _selections(cls: ClassDefinition, ref: Type, record: Type) -> Iterator[Message[..., Any]]:
    def selected(call: Call, expr: str) -> Iterator[Record]:
        try:
            covers = parse(expr, cls.fields)
        except FilterError as error:
            raise XenApiError("INVALID_VALUE", "expr", f"{expr} ({error})") from error
        store = call.store
        return (found for found in store.durable.records(cls.name) if covers(found, store.sampled))

    def get_all_where(call: Call, expr: str) -> list[str]:
        return [found.ref for found in selected(call, expr)]

    def get_all_records_where(call: Call, expr: str) -> dict[str, Record]:
        return {found.ref: found for found in selected(call, expr)}

    name, parameters, errors = cls.name, (Parameter("expr", STRING),), ("INVALID_VALUE",)
    doc = f"List the references to the {name} objects that an expression selects."
    yield _make(cls, "get_all_where", cls.readers, get_all_where, parameters, Set(ref), doc, errors)
    doc = f"Get the records of the {name} objects that an expression selects."
    yield _make(
        cls, "get_all_records_where", cls.readers, get_all_records_where, parameters, Map(ref, record), doc, errors
    )


def _by_uuid(cls: ClassDefinition) -> Message[..., Any]:
    def get_by_uuid(call: Call, uuid: str) -> str:
        found = call.store.durable.by_uuid(cls.name, uuid)
        if found is None:
            raise XenApiError("UUID_INVALID", cls.name, uuid)
        return found.ref

    parameters = (Parameter("uuid", STRING),)
    doc = f"Get the reference to the {cls.name} that has a uuid."
    return _make(cls, "get_by_uuid", cls.readers, get_by_uuid, parameters, Reference(cls.name), doc, ("UUID_INVALID",))


def _by_name_label(cls: ClassDefinition) -> Message[..., Any]:
    position = cls.index["name_label"]

    def get_by_name_label(call: Call, label: str) -> list[str]:
        return [record.ref for record in call.store.durable.records(cls.name) if record.values[position] == label]

    parameters, result = (Parameter("label", STRING),), Set(Reference(cls.name))
    doc = f"Get the references to the {cls.name} objects that have a name."
    return _make(cls, "get_by_name_label", cls.readers, get_by_name_label, parameters, result, doc)


def _create(cls: ClassDefinition) -> Message[..., Any]:
    def create(call: Call, record: dict[str, Any]) -> str:
        for field in cls.fields.values():
            if field.required and field.qualifier is not Qualifier.RO and field.name not in record:
                raise XenApiError("INVALID_VALUE", field.name, "")
        with call.store.write() as change:
            return change.create(cls.name, record)

    parameters, result = (Parameter("record", RecordType(cls.name)),), Reference(cls.name)
    doc = f"Create a {cls.name} and return its reference."
    return _make(cls, "create", cls.role, create, parameters, result, doc, ("INVALID_VALUE",), asynchronous=True)


def _destroy(cls: ClassDefinition) -> Message[..., Any]:
    def destroy(call: Call, self: str) -> None:
        with call.store.write() as change:
            change.destroy(self)

    doc = f"Destroy the {cls.name}."
    return _make(cls, "destroy", cls.role, destroy, (_self(cls),), VOID, doc, asynchronous=True)


def _getter(cls: ClassDefinition, field: Field) -> Message[..., Any]:
    position = cls.index[field.name]

    def get(call: Call, self: str) -> Any:
        return cls.read(call, self).values[position]

    def get_sample(call: Call, self: str) -> Any:
        return call.store.sampled(cls.read(call, self), field.name)

    function = get_sample if field.sampled else get
    doc = f"Get the field {field.name} of the {cls.name}."
    return _make(cls, f"get_{field.name}", cls.readers, function, (_self(cls),), field.type, doc)


def _setters(cls: ClassDefinition, field: Field) -> Iterator[Message[..., Any]]:
    yield _setter(cls, field)
    if isinstance(field.type, Map):
        yield from _map_messages(cls, field, field.type)
    elif isinstance(field.type, Set):
        yield from _set_messages(cls, field, field.type)


def _setter(cls: ClassDefinition, field: Field) -> Message[..., Any]:
    def set_(call: Call, self: str, value: Any) -> None:
        with call.store.write() as change:
            change.update(self, **{field.name: value})

    parameters = (_self(cls), Parameter("value", field.type))
    doc = f"Set the field {field.name} of the {cls.name}."
    return _make(cls, f"set_{field.name}", field.role or cls.role, set_, parameters, VOID, doc)


def _map_messages(cls: ClassDefinition, field: Field, kind: Map) -> Iterator[Message[..., Any]]:
    name, role = field.name, field.role or cls.role

    def add(call: Call, self: str, key: Any, value: Any) -> None:
        with call.store.write() as change:
            present = change.record(self, cls.name)[name]
            if key in present:
                raise XenApiError("MAP_DUPLICATE_KEY", cls.name, name, self, key)
            change.update(self, **{name: {**present, key: value}})

    def remove(call: Call, self: str, key: Any) -> None:
        with call.store.write() as change:
            present = change.record(self, cls.name)[name]
            if key in present:
                change.update(self, **{name: {k: v for k, v in present.items() if k != key}})

    key = Parameter("key", kind.key)
    doc = f"Add a key and its value to the map {name} of the {cls.name}."
    added = (_self(cls), key, Parameter("value", kind.value))
    yield _make(cls, f"add_to_{name}", role, add, added, VOID, doc, ("MAP_DUPLICATE_KEY",))
    doc = f"Remove a key and its value from the map {name} of the {cls.name}, if it is there."
    yield _make(cls, f"remove_from_{name}", role, remove, (_self(cls), key), VOID, doc)


def _set_messages(cls: ClassDefinition, field: Field, kind: Set) -> Iterator[Message[..., Any]]:
    name, role = field.name, field.role or cls.role

    def add(call: Call, self: str, value: Any) -> None:
        with call.store.write() as change:
            present = change.record(self, cls.name)[name]
            if value not in present:
                change.update(self, **{name: (*present, value)})

    def remove(call: Call, self: str, value: Any) -> None:
        with call.store.write() as change:
            present = change.record(self, cls.name)[name]
            if value in present:
                change.update(self, **{name: tuple(item for item in present if item != value)})

    parameters = (_self(cls), Parameter("value", kind.of))
    for prefix in ("add_", "add_to_"):
        doc = f"Add a value to the set {name} of the {cls.name}, if it is not there."
        yield _make(cls, prefix + name, role, add, parameters, VOID, doc)
    for prefix in ("remove_", "remove_from_"):
        doc = f"Remove a value from the set {name} of the {cls.name}, if it is there."
        yield _make(cls, prefix + name, role, remove, parameters, VOID, doc)
