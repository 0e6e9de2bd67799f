"""Queries as the rest of the server uses them: compiled once, then asked about instances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cim_provider import CimError, Instance, Status
from pycimom.query.errors import invalid
from pycimom.query.evaluation import Classes, Evaluation
from pycimom.query.parser import Dialect, parse_condition, parse_query
from pycimom.query.patterns import Pattern, regular, wildcards

MAX_LENGTH = 16 * 1024
"""The longest query, in characters."""

_REGULAR_ESCAPES = ".[]^$*+?|()\\-"


@dataclass(frozen=True)
class _Language:
    dialect: Dialect
    pattern: Callable[[str], Pattern]


_WQL = _Language(Dialect(), wildcards)
_CQL = _Language(Dialect(scopes=True, indexes=True, quantifiers=True, pattern_escapes=_REGULAR_ESCAPES), regular)
_FQL = _Language(Dialect(indexes=True, quantifiers=True, pattern_escapes=_REGULAR_ESCAPES), regular)
_QUERY_LANGUAGES = {"WQL": _WQL, "DMTF:CQL": _CQL, "CIM:CQL": _CQL}
_FILTER_LANGUAGES = {"DMTF:FQL": _FQL}

LANGUAGES = tuple(_QUERY_LANGUAGES)
"""The languages of whole queries: of ExecQuery, OpenQueryInstances and indication filters."""


@dataclass(frozen=True)
class Query:
    """A query that has been checked against the classes it names."""

    text: str
    language: str
    class_name: str
    """The class after FROM, by the schema's spelling; its subclasses are meant too."""
    properties: tuple[str, ...] | None
    """The properties to give, by the schema's spelling; None for all."""
    matches: Callable[[Instance], bool] = field(repr=False)
    """Whether an instance of the class or of a subclass fulfils the condition; unknown is no."""


def compile_query(text: str, language: str, classes: Classes) -> Query:
    """Compile a query in WQL or DMTF:CQL.

    Raises CimError QUERY_LANGUAGE_NOT_SUPPORTED, or INVALID_QUERY with the place where the query goes wrong.
    """
    kind = _language(language, _QUERY_LANGUAGES)
    _check_length(text)
    tree = parse_query(text, kind.dialect)
    try:
        cim_class = classes.get(tree.class_name)
    except CimError as error:
        raise invalid(f"There is no class {tree.class_name}", tree.class_position) from error
    evaluation = Evaluation(classes, cim_class, kind.pattern)
    properties = None if tree.properties is None else tuple(evaluation.property_name(each) for each in tree.properties)
    if tree.condition is None:
        return Query(text, language, cim_class.name, properties, lambda _: True)
    holds = evaluation.predicate(tree.condition)
    return Query(text, language, cim_class.name, properties, lambda instance: holds(instance) is True)


def compile_filter(text: str, language: str, classes: Classes, class_name: str) -> Callable[[Instance], bool]:
    """Compile the filter of an Open operation on ``class_name`` in DMTF:FQL; errors as for ``compile_query``."""
    kind = _language(language, _FILTER_LANGUAGES)
    _check_length(text)
    holds = Evaluation(classes, classes.get(class_name), kind.pattern).predicate(parse_condition(text, kind.dialect))
    return lambda instance: holds(instance) is True


def _language(name: str, known: dict[str, _Language]) -> _Language:
    for each, language in known.items():
        if each.lower() == name.lower():
            return language
    raise CimError(
        Status.QUERY_LANGUAGE_NOT_SUPPORTED,
        f"The query language {name[:40]!r} is not supported; supported: {', '.join(known)}.",
    )


def _check_length(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise invalid(f"The query is longer than {MAX_LENGTH} characters", MAX_LENGTH)
