"""Compiles MOF files into a namespace of a repository: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lxml import etree
from pywbem import CIMQualifierDeclaration

from cim_provider import CimError
from pycimom.mof_compiler import Compilation, qualifier_xml
from pycimom.mof_source import MofError, MofText, read_mof
from pycimom.repository import Draft, Repository

_SCOPES = ("class", "association", "reference", "property", "method", "parameter", "indication")


def install(repository: Repository, namespace: str, files: Sequence[Path]) -> list[str]:
    """Compile files into a namespace, which is made if need be; return the names of the classes they declare.

    The files may declare their classes in any order and across files; a class that is there already is replaced. What
    they need of the DMTF schema is added. Raises MofError with file and line, and then nothing has changed.
    """
    return install_texts(repository, namespace, [read_mof(path) for path in files])


def install_texts(repository: Repository, namespace: str, texts: Sequence[MofText]) -> list[str]:
    """Do the same with texts that were read already."""
    is_new = namespace.strip("/").lower() not in (each.lower() for each in repository.namespaces())
    if is_new:
        repository.create_namespace(namespace)
    try:
        with repository.change(namespace) as draft:
            return _install(draft, texts)
    except BaseException:
        if is_new:
            repository.delete_namespace(namespace)
        raise


def _install(draft: Draft, texts: Sequence[MofText]) -> list[str]:
    try:
        draft.adopt_qualifiers()
    except CimError as error:
        raise MofError(texts[0].file, None, error.description) from error
    known = dict(draft.namespace.qualifiers)
    compilation = Compilation([_declaration(xml) for xml in known.values()])
    for text in texts:
        compilation.compile(text)
    for key, qualifier in compilation.qualifiers.items():
        if (xml := qualifier_xml(qualifier)) != known.get(key):
            draft.set_qualifier(etree.fromstring(xml))
    declared = {each.name.lower(): each for text in texts for each in text.declarations}
    draft.announce(declared)
    names = []
    for each in compilation.superclasses_first():
        where = declared[each.classname.lower()]
        try:
            for needed in where.needs:
                draft.adopt(needed)
            draft.put_class(etree.fromstring(each.tocimxmlstr()))
        except CimError as error:
            raise MofError(where.file, where.line, error.description) from error
        names.append(each.classname)
    return names


def _declaration(xml: bytes) -> CIMQualifierDeclaration:
    """Return a declaration in pywbem's terms; its default value, which decides nothing here, is left out."""
    element = etree.fromstring(xml)
    scope = element.find("SCOPE")
    return CIMQualifierDeclaration(
        element.get("NAME"),
        element.get("TYPE"),
        is_array=element.get("ISARRAY") == "true",
        scopes={each.upper(): scope is not None and scope.get(each.upper()) == "true" for each in _SCOPES},
        **{
            flavor: element.get(flavor.upper(), default) == "true"
            for flavor, default in (
                ("overridable", "true"),
                ("tosubclass", "true"),
                ("toinstance", "false"),
                ("translatable", "false"),
            )
        },
    )
