"""The golden record of the wire: what every message takes, answers and refuses, and the bytes of a record.

One file per class in ``golden/``. ``pytest --update-golden`` writes them anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from testfixtures import Replacer, mock_datetime

from xenapi_core.datamodel import Datamodel
from xenapi_core.datamodel.messages import REQUIRED, Message
from xenapi_core.population import populate
from xenapi_core.scenario import load
from xenapi_core.store import Store
from xenapi_core.wire.xmlrpc import Encoder

GOLDEN = Path(__file__).parent / "golden"
ADVICE = (
    "The wire has changed. If that is meant, write the files anew with pytest --update-golden, "
    "and add a line that says what changed to docs/compatibility.md."
)
SEED = 1
CLOCKED = ("xenapi_core.population", "xenapi_core.classes", "xenapi_core.hypervisors", "xenapi_core.store")
"""Where the time is asked for; elsewhere, datetime is only the name of a type."""

MODEL = Datamodel.load()


@pytest.fixture(scope="module")
def store(datamodel: Datamodel) -> Iterator[Store]:
    """The pool of the built-in scenario, made at a fixed moment."""
    clock: Any = mock_datetime(2026, 1, 2, 3, 4, 5, delta=0, strict=False)
    with Replacer() as replaced:
        for name, module in list(sys.modules.items()):
            if name.startswith(CLOCKED) and getattr(module, "datetime", None) is datetime:
                replaced.replace(f"{name}.datetime", clock)
        made = Store(datamodel)
        populate(made, load(seed=SEED))
    yield made
    made.close()


def described(message: Message[..., Any]) -> Iterator[str]:
    """A message as one line, and its errors as another."""
    parameters = ", ".join(
        f"{each.name}: {each.type.name}" + ("" if each.default is REQUIRED else f" = {each.default!r}")
        for each in message.parameters
    )
    marks = [message.role.label, *(["async"] if message.asynchronous else []), *([] if message.session else ["open"])]
    yield f"{message.name}({parameters}) -> {message.result.name} [{', '.join(marks)}]"
    if message.errors:
        yield f"    {' '.join(sorted(message.errors))}"


def literal(store: Store, cls: str) -> Iterator[str]:
    """The answer of get_record for the class's first object, a line per member."""
    definition = store.model.classes[cls]
    record = next(iter(store.records(cls)), None) if definition.stored else None
    if record is None:
        yield "no object"
        return
    encoder = Encoder(store.samples)
    body = b"".join(encoder.success(record, store.model.messages[f"{cls}.get_record"].result))
    yield from body.decode().replace("<member>", "\n<member>").split("\n")


def golden(store: Store, cls: str) -> str:
    messages = [each for each in store.model.messages.values() if each.cls == cls]
    lines = [line for each in sorted(messages, key=lambda each: each.name) for line in described(each)]
    removed = [f"{name} was removed" for name in sorted(store.model.classes[cls].removed)]
    return "\n".join([*lines, *removed, "", *literal(store, cls)]) + "\n"


@pytest.mark.parametrize("cls", sorted(MODEL.classes))
def test_the_wire_is_as_it_was(store: Store, cls: str, pytestconfig: pytest.Config) -> None:
    file = GOLDEN / f"{cls}.txt"
    now = golden(store, cls)
    if pytestconfig.getoption("update_golden"):
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(now, "utf-8")
    before = file.read_text("utf-8") if file.is_file() else ""
    assert now == before, ADVICE


def test_no_class_has_gone(pytestconfig: pytest.Config) -> None:
    recorded = {file.stem for file in GOLDEN.glob("*.txt")}
    if pytestconfig.getoption("update_golden"):
        for gone in recorded - set(MODEL.classes):
            (GOLDEN / f"{gone}.txt").unlink()
        recorded &= set(MODEL.classes)
    assert recorded == set(MODEL.classes), ADVICE
