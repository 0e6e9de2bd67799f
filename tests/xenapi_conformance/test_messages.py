"""Every message of revision 1.0.10, sent with arguments that are right and with arguments that are wrong.

Nothing here knows a class: the messages come from the facts, arguments from their types and from the table of
``xenapi_arguments``, exceptions from docs/compatibility.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from xenapi_arguments import Pool, arguments, read_back
from xenapi_facts import CLASSES, GENERIC, MISSING, Message, messages, referred, wrong
from xenapi_server import ServedPool, WireError

COMPATIBILITY = Path(__file__).parents[2] / "docs" / "compatibility.md"
HEADING = "## Messages of 1.0 that do not succeed"
MOST_EXCEPTIONS = 30

EVERY = [message for cls in CLASSES for message in messages(cls)]

needs_facts = pytest.mark.skipif(not EVERY, reason=MISSING)


def exceptions() -> dict[str, str]:
    """The messages that cannot succeed, and why, as the document's table tells."""
    _, found, rest = COMPATIBILITY.read_text("utf-8").partition(HEADING)
    table = rest.partition("\n## ")[0]
    return dict(re.findall(r"^\| `([\w.]+)` \| (.+?) \|$", table, re.MULTILINE)) if found else {}


@pytest.fixture(scope="module")
def pools() -> Iterator[dict[str, ServedPool]]:
    running: dict[str, ServedPool] = {}
    yield running
    for each in running.values():
        each.close()


ASKING = ("getter", "get_record", "get_by_uuid", "get_by_name_label", "get_all", "get_all_records")
ASKED = {cls for cls in CLASSES if all(message.kind in ASKING for message in messages(cls))}
"""Classes that can only be read."""
SHARED = "shared"


@pytest.fixture
def pool(pools: dict[str, ServedPool], request: pytest.FixtureRequest) -> Pool:
    """A session on a pool that only the messages of one class have touched, or none that changes anything."""
    cls = request.getfixturevalue("message").cls
    name = cls if request.function is test_right_arguments and cls not in ASKED else SHARED
    if name not in pools:
        for stale in pools.keys() - {SHARED}:
            pools.pop(stale).close()
        pools[name] = ServedPool(hosts=2, vms=12)
    return Pool(pools[name].connect())


def named(message: Message) -> str:
    return message.method


@needs_facts
def test_exceptions_are_few_and_known() -> None:
    told = exceptions()
    assert len(told) <= MOST_EXCEPTIONS
    assert set(told) <= {message.method for message in EVERY}
    assert all(reason.strip() for reason in told.values())


@needs_facts
@pytest.mark.parametrize("message", EVERY, ids=named)
def test_right_arguments(pool: Pool, message: Message) -> None:
    excepted = exceptions().get(message.method)
    try:
        given = arguments(pool, message)
        result = (pool.do if message.session else pool.wire.value)(message.method, *given)
    except (WireError, AssertionError):
        if excepted is None:
            raise
        return
    assert wrong(result, message.result) == ""
    assert read_back(pool, message, given) == ""
    assert excepted is None, f"docs/compatibility.md says that {message.method} does not succeed: {excepted}"


def wrong_value(kind: str) -> Any:
    """A value that is of none of the types that a parameter could be taken for."""
    return "no structure" if kind.endswith((" record", " map", " set")) else {"no": ["scalar"]}


def mistakes(pool: Pool, message: Message) -> Iterator[tuple[str, list[Any]]]:
    """Ways to send a message wrongly: what the mistake is, and the parameters."""
    given = plain(pool, message)
    first = [pool.wire.session] if message.session else []
    yield "too many", [*first, *given, *["more"] * 9]
    if message.session:
        yield "no session", []
        yield "an unknown session", ["OpaqueRef:nobody", *given]
    if given:
        yield "too few", [*first, *given[:-1]]
    for position, parameter in enumerate(message.parameters):

        def replaced(value: Any, position: int = position) -> list[Any]:
            return [*first, *given[:position], value, *given[position + 1 :]]

        yield f"{parameter.name} of a wrong type", replaced(wrong_value(parameter.type))
        cls = referred(parameter.type)
        if cls:
            yield f"{parameter.name} unknown", replaced("OpaqueRef:unknown")
            yield f"{parameter.name} of a wrong class", replaced(pool.one("network" if cls != "network" else "host"))


def plain(pool: Pool, message: Message) -> list[Any]:
    """Values by type alone: they need not be right for the state of the pool, since another mistake is made."""
    values = {"int": "1", "bool": True, "xs_type": "1", "xs_instantiationflags": "1"}

    def value(kind: str) -> Any:
        if referred(kind):
            every = pool.wire.session if referred(kind) == "session" else ""
            return every or next(iter(pool.do(f"{referred(kind)}.get_all")), "OpaqueRef:unknown")
        if kind.endswith((" record", " map")):
            return {}
        return [] if kind.endswith(" set") else values.get(kind, "")

    return [value(parameter.type) for parameter in message.parameters]


@needs_facts
@pytest.mark.parametrize("message", EVERY, ids=named)
def test_wrong_arguments(pool: Pool, message: Message, datamodel: Any) -> None:
    declared = set(datamodel.messages[message.method].errors) if message.method in datamodel.messages else set()
    expected = {*GENERIC, *message.errors, *declared}
    for what, parameters in mistakes(pool, message):
        details = pool.wire.error(message.method, *parameters)
        assert details, f"{message.method} succeeded with {what}"
        assert details[0] != "MESSAGE_METHOD_UNKNOWN", message.method
        assert details[0] in expected, f"{message.method} with {what}: {details}"
