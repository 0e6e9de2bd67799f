"""Does a name lead to the instance that it names, and to no other?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pywbem

from xen_tools.validation.mof import keys_of
from xen_tools.validation.names import Identity, changed, identity, short
from xen_tools.validation.sampling import Sample
from xen_tools.validation.server import Namespace

AGAIN = 2
"""How often something has to differ once more to be told."""
NOT_THERE = (pywbem.CIM_ERR_NOT_FOUND, pywbem.CIM_ERR_INVALID_PARAMETER)


def check_names(namespace: Namespace) -> None:
    """Compare names with key properties, and enumerations of names with those of instances, at each class."""
    for name, instances in namespace.instances.items():
        cls = namespace.classes[name]
        keys = {each.lower() for each in keys_of(cls)}
        seen = set()
        for each in instances:
            _check_name(namespace, each, keys)
            own = identity(each.path, namespace.name)
            if own in seen:
                namespace.report("key.duplicate", each.path, "The name is there more than once.")
            seen.add(own)
    for name in namespace.names:
        _check_enumeration(namespace, name)


def _check_name(namespace: Namespace, instance: pywbem.CIMInstance, keys: set[str]) -> None:
    path = instance.path
    named = {each.lower() for each in path.keybindings}
    if named != keys:
        wrong = [*(f"lacks {each}" for each in keys - named), *(f"has {each}" for each in named - keys)]
        namespace.report("key.path", path, f"The name {', '.join(sorted(wrong))}.")
    if path.classname.lower() != instance.classname.lower():
        namespace.report("key.property", path, f"The instance is a {instance.classname}.")
    for key, value in path.keybindings.items():
        own = instance.get(key)
        if own is not None and _comparable(own, namespace) != _comparable(value, namespace):
            namespace.report("key.property", path, f"The property {key} is {own!s}.")


def _comparable(value: object, namespace: Namespace) -> object:
    return identity(value, namespace.name) if isinstance(value, pywbem.CIMInstanceName) else value


def _check_enumeration(namespace: Namespace, name: str) -> None:
    """Compare what a class's enumeration gave with what it and its subclasses have."""
    below = namespace.subclasses(name)
    given, has = _given(namespace, name), _has(namespace, below)
    if given.keys() != has.keys():  # perhaps something changed meanwhile
        namespace.refresh({name, *(key[1] for key in given.keys() ^ has.keys())})
        given, has = _given(namespace, name), _has(namespace, below)
    spelled = namespace.classes[name].classname
    for key in given.keys() - has.keys():
        if key[1] not in below:
            namespace.report("inheritance.foreign", spelled, f"It gives {short(given[key])}.")
        else:
            namespace.report("key.names", given[key], f"Only EnumerateInstanceNames of {spelled} gives it.")
    for key in has.keys() - given.keys():
        if key[1] == name:
            namespace.report("key.names", has[key], f"Only EnumerateInstances of {spelled} gives it.")
        else:
            namespace.report("inheritance.missing", spelled, f"It does not give {short(has[key])}.")


def _given(namespace: Namespace, name: str) -> dict[Identity, pywbem.CIMInstanceName]:
    return {identity(each, namespace.name): each for each in namespace.names[name]}


def _has(namespace: Namespace, names: Iterable[str]) -> dict[Identity, pywbem.CIMInstanceName]:
    return {
        identity(each.path, namespace.name): each.path for name in names for each in namespace.instances.get(name, ())
    }


def check_instances(namespace: Namespace, sample: Sample) -> None:
    """Ask for each instance by its name, and by names that are nearly its own."""
    for instances in list(namespace.instances.values()):
        for each in sample.of(instances):
            _check_found(namespace, each)
            _check_not_found(namespace, each.path)


def _check_found(namespace: Namespace, instance: pywbem.CIMInstance) -> None:
    path = instance.path

    def ask() -> pywbem.CIMInstance | None:
        found = _get(namespace, path)
        return found if isinstance(found, pywbem.CIMInstance) else None

    found = _get(namespace, path)
    if isinstance(found, pywbem.CIMInstance):
        for text in differences(namespace, instance, found, ask):
            namespace.report("key.same", path, text)
        return
    namespace.refresh([instance.classname.lower()])
    if identity(path, namespace.name) in namespace.by_name and ask() is None:  # else it is gone meanwhile
        namespace.report("key.get", path, f"GetInstance: {found}.")


def _check_not_found(namespace: Namespace, path: pywbem.CIMInstanceName) -> None:
    for key in path.keybindings:
        other = changed(path, key)
        if other is None or identity(other, namespace.name) in namespace.by_name:
            continue
        found = _get(namespace, other)
        if isinstance(found, pywbem.CIMInstance):
            namespace.report("key.wrong", path, f"GetInstance of {short(other)} finds one all the same.")
        elif found.status_code not in NOT_THERE:
            namespace.report("key.wrong", path, f"GetInstance of {short(other)}: {found}.")


def _get(namespace: Namespace, path: pywbem.CIMInstanceName) -> pywbem.CIMInstance | pywbem.CIMError:
    """Return the instance of a name, or why there is none."""
    server = namespace.server
    server.requests += 1
    try:
        return server.connection.GetInstance(path, LocalOnly=False)
    except pywbem.CIMError as error:
        return error
    except pywbem.ParseError as error:
        return pywbem.CIMError(pywbem.CIM_ERR_FAILED, str(error).splitlines()[0])


def differences(
    namespace: Namespace,
    enumerated: pywbem.CIMInstance,
    found: pywbem.CIMInstance,
    ask: Callable[[], pywbem.CIMInstance | None],
) -> Iterator[str]:
    """Yield how an instance differs from what it is when its class is enumerated.

    What differs only now and then is a value that changes: ``ask`` finds the instance again, for comparison with an
    enumeration made just before.
    """
    apart = _apart(enumerated, found)
    for _ in range(AGAIN):
        if not apart:
            return
        namespace.refresh([enumerated.path.classname.lower()], fresh=0)
        now, again = namespace.by_name.get(identity(enumerated.path, namespace.name)), ask()
        if now is None or again is None:
            return
        apart &= _apart(now, again)
    for each in sorted(apart):
        yield f"{each} is {found.get(each)!s} by itself and {enumerated.get(each)!s} among others."


def _apart(one: pywbem.CIMInstance, other: pywbem.CIMInstance) -> set[str]:
    """Return the properties of two instances that differ; a missing one is as good as NULL."""
    if one.classname.lower() != other.classname.lower():
        return {"the class"}
    names = {each.lower(): each for each in (*one.properties, *other.properties)}
    return {name for name in names.values() if _plain(one.get(name)) != _plain(other.get(name))}


def _plain(value: object) -> object:
    """Return a value without what depends on the operation: where the path of a reference begins."""
    if isinstance(value, pywbem.CIMInstanceName):
        return identity(value, "")[1:]
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
