"""Results that a query or a filter selects (DSP0200 5.3.2.13 and 5.3.2.24, DSP0202, DSP0212)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from cim_provider import CimError, Context, Instance, Status
from pycimom.broker import Broker
from pycimom.enumerations import Results
from pycimom.fragments import Detail, Found, Shape
from pycimom.query import Query, compile_filter, compile_query
from pycimom.repository import NamespaceClasses, Repository

MATCHED_AT_ONCE = 200
"""More instances than these are matched in a thread."""


async def filtered(results: Results, text: str, language: str, repository: Repository, class_name: str) -> Results:
    """Return the results that fulfil a DMTF:FQL filter on a class."""
    try:
        matches = compile_filter(text, language, NamespaceClasses(repository, results.namespace), class_name)
    except CimError as error:
        raise _as_filter_error(error) from None
    return replace(results, found=await _matching(results.found, matches))


async def select_query(
    broker: Broker, context: Context, shape: Shape, text: str, language: str
) -> tuple[Results, Query]:
    """Return what a query in WQL or DMTF:CQL selects, and the query."""
    query = compile_query(text, language, NamespaceClasses(broker.repository, context.namespace))
    found = await broker.read().instances(context.namespace, query.class_name)
    properties = None if query.properties is None else frozenset(each.lower() for each in query.properties)
    chosen = await _matching(found, query.matches)
    return Results(context.namespace, shape, chosen, detail=Detail(properties)), query


async def _matching(found: Sequence[Found], matches: Callable[[Instance], bool]) -> list[Found]:
    def choose() -> list[Found]:
        return [Found(each.namespace, [one for one in each.instances if matches(one)]) for each in found]

    if sum(len(each.instances) for each in found) <= MATCHED_AT_ONCE:
        return choose()
    return await asyncio.to_thread(choose)


def _as_filter_error(error: CimError) -> CimError:
    return CimError(Status.INVALID_PARAMETER, error.description) if error.status is Status.INVALID_CLASS else error
