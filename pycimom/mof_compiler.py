"""Compiles what a model reaches of the CIM schema, with pywbem's MOF compiler behind it.

The DMTF schema has 1,631 classes, a model needs a tenth of them. So the texts are first searched for what they
declare and refer to, which costs little, and only what is reached is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

from lxml import etree
from pywbem import (
    CIM_ERR_FAILED,
    CIM_ERR_NOT_FOUND,
    BaseRepositoryConnection,
    CIMClass,
    CIMError,
    CIMQualifierDeclaration,
    MOFCompileError,
    MOFCompiler,
)

from pycimom.mof_resolver import Resolver
from pycimom.mof_source import Declaration, MofError, MofText, SchemaArchive
from pycimom.repository_cimxml import ClassSource, qualifier_declaration

Progress: TypeAlias = Callable[[int, int, str], None]
"""Told after each compiled text: how many are done, how many there are, and the file's name."""

_NAMESPACE = "root"
_DEFAULT_FLAVORS = {
    "OVERRIDABLE": "true",
    "TOSUBCLASS": "true",
    "TOINSTANCE": "false",
    "TRANSLATABLE": "false",
    "PROPAGATED": "false",
}


@dataclass(frozen=True)
class CompiledClasses:
    """What a compilation gave: resolved classes, superclasses first; and the qualifiers that they may use."""

    classes: dict[str, CIMClass]
    """By name in lower case."""
    qualifiers: list[CIMQualifierDeclaration]
    needs: dict[str, frozenset[str]] = field(repr=False)
    """The names in lower case of what each class directly needs."""

    def reached_from(self, roots: Iterable[str]) -> list[CIMClass]:
        """Return the classes that these classes need, directly or through others, and themselves; in stable order."""
        reached: set[str] = set()
        waiting = [name.lower() for name in roots]
        while waiting:
            key = waiting.pop()
            if key not in reached:
                reached.add(key)
                waiting.extend(self.needs[key])
        return [each for key, each in self.classes.items() if key in reached]


def compile_classes(
    schema: SchemaArchive, own: Sequence[MofText], roots: Iterable[str], progress: Progress | None = None
) -> CompiledClasses:
    """Compile the project's own MOF and all that it and ``roots`` reach in the schema.

    A class that the own MOF declares is taken from there even if the schema has it too. MofError if a text is wrong
    or something is declared nowhere.
    """
    declared = {each.name.lower(): each for text in own for each in text.declarations}
    own_names = list(declared)
    reached = _reach(schema, declared, [*own_names, *roots])
    texts = [*schema.qualifiers(), *reached, *own]
    compilation = Compilation()
    for number, text in enumerate(texts, 1):
        compilation.compile(text)
        if progress is not None:
            progress(number, len(texts), text.file)
    compilation.check_references()
    classes: dict[str, CIMClass] = {}
    for key in sorted(compilation.classes, key=schema.position):
        for name in _with_ancestors(compilation.classes, key):
            classes.setdefault(name, compilation.resolve(name))
    needs = {key: frozenset(name.lower() for name in declared[key].needs) for key in classes}
    return CompiledClasses(classes, list(compilation.qualifiers.values()), needs)


class Compilation:
    """Compiles one text after the other; what they declare may be needed by earlier ones."""

    def __init__(self, qualifiers: Iterable[CIMQualifierDeclaration] = ()) -> None:
        """Begin with these qualifiers declared."""
        self._handle = _Collector()
        self._compiler = MOFCompiler(self._handle, log_func=None)
        self._declared: dict[str, Declaration] = {}
        self._resolver = Resolver(self._handle.classes, self._declared)
        for each in qualifiers:
            self._handle.SetQualifier(each)

    @property
    def classes(self) -> Mapping[str, CIMClass]:
        """The classes as they were declared, by name in lower case."""
        return self._handle.classes

    @property
    def qualifiers(self) -> Mapping[str, CIMQualifierDeclaration]:
        """The qualifiers declared so far, by name in lower case."""
        return self._handle.qualifiers

    def compile(self, text: MofText) -> None:
        """Compile a text; MofError with file and line if it is wrong."""
        for each in text.declarations:
            previous = self._declared.setdefault(each.name.lower(), each)
            if previous is not each:
                raise MofError(
                    each.file,
                    each.line,
                    f"class {each.name} is declared a second time; it stands in {previous.file}:{previous.line} too.",
                )
        try:
            self._compiler.compile_string(text.text, _NAMESPACE, filename=text.file)
        except MOFCompileError as error:
            # Without a line, the text ended too early.
            raise MofError(text.file, error.lineno or text.text.count("\n") + 1, _sentence(error)) from error

    def superclasses_first(self) -> Iterator[CIMClass]:
        """Yield the classes as they were declared, each after its superclass, else in the order of the texts."""
        waiting = dict(self.classes)

        def take(key: str) -> Iterator[CIMClass]:
            each = waiting.pop(key, None)
            if each is not None:
                if each.superclass:
                    yield from take(each.superclass.lower())
                yield each

        for key in self.classes:
            yield from take(key)

    def resolve(self, class_name: str) -> CIMClass:
        """Return a class with all that it inherits; MofError if that is contradictory or is declared nowhere."""
        return self._resolver.resolve(class_name)

    def check_references(self) -> None:
        """Raise MofError if a class refers to one that is declared nowhere."""
        for key, each in self._declared.items():
            if key in self.classes:
                self._resolver.check_references(each.name)


def class_source(resolved: CIMClass) -> ClassSource:
    """Return a resolved class as the repository keeps it."""
    element = etree.fromstring(resolved.tocimxmlstr())
    for qualifier in element.iter("QUALIFIER"):
        for name, value in _DEFAULT_FLAVORS.items():
            # The DTD says so anyway (DSP0203); they are a third of the bytes.
            if qualifier.get(name) == value:
                del qualifier.attrib[name]
    return ClassSource.of(element)


def qualifier_xml(declared: CIMQualifierDeclaration) -> bytes:
    """Return a qualifier declaration as the repository keeps it."""
    return qualifier_declaration(etree.fromstring(declared.tocimxmlstr()))


def _reach(schema: SchemaArchive, declared: dict[str, Declaration], roots: Iterable[str]) -> list[MofText]:
    """Return the schema's texts that the roots need, and add their declarations to ``declared``."""
    texts: list[MofText] = []
    seen: set[str] = set()
    waiting = [name.lower() for name in roots]
    while waiting:
        key = waiting.pop()
        if key in seen:
            continue
        seen.add(key)
        if key not in declared:
            if key not in schema:
                continue  # the resolver says who refers to it
            text = schema.read_class(key)
            texts.append(text)
            declared.update((each.name.lower(), each) for each in text.declarations)
        waiting.extend(name.lower() for name in declared[key].needs)
    return sorted(texts, key=lambda text: schema.position(text.declarations[0].name))


def _with_ancestors(classes: Mapping[str, CIMClass], key: str) -> list[str]:
    """Return a class after its superclasses; whoever is declared nowhere is left to the resolver."""
    lineage = [key]
    while (above := classes[lineage[-1]].superclass) and above.lower() in classes and above.lower() not in lineage:
        lineage.append(above.lower())
    return lineage[::-1]


def _sentence(error: MOFCompileError) -> str:
    message = str(error.msg or "this is not MOF").rstrip(".") + "."
    cause = getattr(error, "cim_error", None)
    return f"{message} {cause.status_description}" if cause is not None else message


class _Collector(BaseRepositoryConnection):  # type: ignore[misc]  # pywbem is untyped
    """Takes what the compiler makes. Whether names exist is checked when all is there, so order does not matter."""

    default_namespace = _NAMESPACE

    def __init__(self) -> None:
        self.classes: dict[str, CIMClass] = {}
        self.qualifiers: dict[str, CIMQualifierDeclaration] = {}

    def CreateClass(self, NewClass: CIMClass, namespace: str | None = None) -> None:  # noqa: N802, N803
        self.classes[NewClass.classname.lower()] = NewClass

    def GetClass(self, ClassName: str, **_: Any) -> CIMClass:  # noqa: N802, N803
        try:
            return self.classes[ClassName.lower()]
        except KeyError:
            raise CIMError(CIM_ERR_NOT_FOUND, f"Class {ClassName} is declared nowhere.") from None

    def EnumerateQualifiers(self, **_: Any) -> list[CIMQualifierDeclaration]:  # noqa: N802
        return list(self.qualifiers.values())

    def GetQualifier(self, QualifierName: str, **_: Any) -> CIMQualifierDeclaration:  # noqa: N802, N803
        try:
            return self.qualifiers[QualifierName.lower()]
        except KeyError:
            raise CIMError(CIM_ERR_NOT_FOUND, f"Qualifier {QualifierName} is declared nowhere.") from None

    def SetQualifier(self, QualifierDeclaration: CIMQualifierDeclaration, **_: Any) -> None:  # noqa: N802, N803
        self.qualifiers[QualifierDeclaration.name.lower()] = QualifierDeclaration

    def CreateInstance(self, *_: Any, **__: Any) -> NoReturn:  # noqa: N802
        raise CIMError(CIM_ERR_FAILED, "Instances come from providers; this MOF may only declare classes.")

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise CIMError(CIM_ERR_FAILED, "MOF may only declare classes and qualifiers.")

    EnumerateInstanceNames = ModifyInstance = DeleteInstance = _refuse
    ModifyClass = DeleteClass = DeleteQualifier = _refuse
