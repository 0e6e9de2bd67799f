"""Types: what the wire may say, what the program may say, and what the journal keeps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xenapi_core.datamodel import EPOCH, NULL, RO, RecordOf, Ref, XenClass, field, message, reverse
from xenapi_core.datamodel.call import Call
from xenapi_core.datamodel.registry import Datamodel
from xenapi_core.datamodel.types import MismatchError, moment, of


class Colour(StrEnum):
    """Some words."""

    Red = "Red"
    Green = "Green"


class World:
    """A resolver that knows no objects but takes every reference."""

    def reference(self, cls: str, text: str) -> str:
        return f"{cls}:{text}"

    def record(self, cls: str, members: Mapping[str, Any]) -> dict[str, Any]:
        return dict(members)


@pytest.mark.parametrize(
    ("annotation", "given", "expected"),
    [
        (str, "x", "x"),
        (str, 7, "7"),
        (str, True, "true"),
        (str, None, ""),
        (int, "12", 12),
        (int, " -3 ", -3),
        (int, 4.0, 4),
        (float, "2.5", 2.5),
        (float, 2, 2.0),
        (bool, "1", True),
        (bool, "False", False),
        (bool, False, False),
        (datetime, "20240102T03:04:05", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (datetime, "2024-01-02T03:04:05Z", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (datetime, "2024-01-02T03:04:05+01:00", datetime(2024, 1, 2, 2, 4, 5, tzinfo=UTC)),
        (Colour, "Green", Colour.Green),
        (Colour, "gREEN", Colour.Green),
        (Colour, "1", Colour.Green),
        (list[int], ["1", 2], (1, 2)),
        (list[int], {}, ()),
        (dict[str, int], {"a": "1"}, {"a": 1}),
        (dict[int, float], {"3": "0.5"}, {3: 0.5}),
        (dict[str, int], [], {}),
        (Annotated[str, Ref("VM")], "x", "VM:x"),
        (Annotated[str, Ref("VM")], "", NULL),
        (Annotated[str, Ref("VM")], None, NULL),
    ],
)
def test_the_wire_is_read_leniently(annotation, given, expected):
    assert of(annotation).accept(given, World()) == expected


@pytest.mark.parametrize(
    ("annotation", "given"),
    [
        (int, "x"),
        (int, ""),
        (int, str(1 << 63)),
        (int, 0.5),
        (float, "much"),
        (float, "inf"),
        (float, "nan"),
        (float, "9" * 5000),
        (bool, "2"),
        (datetime, "yesterday"),
        (datetime, "20241302T03:04:05"),
        (Colour, "Blue"),
        (Colour, "2"),
        (Colour, "9" * 5000),
        (str, ["x"]),
        (list[str], "x"),
        (list[int], ["x"]),
        (dict[str, str], "x"),
        (dict[str, str], ["x"]),
        (Annotated[str, Ref("VM")], {}),
        (Annotated[dict[str, Any], RecordOf("VM")], "x"),
    ],
)
def test_what_a_type_cannot_mean_is_refused(annotation, given):
    with pytest.raises(MismatchError):
        of(annotation).accept(given, World())


@pytest.mark.parametrize(
    ("annotation", "given"),
    [
        (str, 1),
        (int, "1"),
        (int, True),
        (bool, 1),
        (datetime, datetime(2024, 1, 1)),
        (Colour, "Blue"),
        (list[str], "x"),
    ],
)
def test_the_program_is_read_strictly(annotation, given):
    with pytest.raises(TypeError):
        of(annotation).admit(given)


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1)))
def test_times_survive_their_text(time):
    exact = time.replace(microsecond=0)
    assert moment(f"{exact:%Y%m%dT%H:%M:%SZ}".zfill(18)) == exact
    assert moment(time.isoformat()) == time


@given(
    st.dictionaries(st.integers(-5, 5), st.lists(st.sampled_from(Colour))),
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5))])),
)
def test_the_journal_gives_back_what_it_got(by_number, time):
    numbered = of(dict[int, list[Colour]])
    stored = numbered.admit(by_number)
    assert numbered.load(numbered.dump(stored)) == stored
    assert of(datetime).load(of(datetime).dump(of(datetime).admit(time))) == time


def test_fields_without_a_default_get_the_zero_of_their_type():
    class Thing(XenClass):
        """A thing."""

        word: str = field(RO)
        number: int = field(RO)
        time: datetime = field(RO)
        other: Annotated[str, Ref("Thing")] = field(RO)
        words: list[str] = field(RO)

    assert Thing.definition.defaults == ("", 0, EPOCH, NULL, ())
    assert all(each.required for each in Thing.definition.fields.values())


def test_mistakes_in_declarations_name_the_field():
    with pytest.raises(TypeError, match=r"field Thing\.number: 'x' is no int"):

        class Thing(XenClass):
            """A thing."""

            number: int = field(RO, default="x")

    with pytest.raises(TypeError, match=r"Thing\.what: .*object"):

        class Thing(XenClass):
            """A thing."""

            what: object = field(RO)


def test_a_collection_has_to_mirror_a_reference():
    class One(XenClass):
        """Collects."""

        many: list[Annotated[str, Ref("Many")]] = reverse("Many", "word")

    class Many(XenClass):
        """Does not refer."""

        word: str = field(RO)

    with pytest.raises(TypeError, match=r"field One\.many: Many\.word has to be a reference to One"):
        Datamodel([One, Many])


def test_a_message_is_declared_by_its_signature():
    class Thing(XenClass):
        """A thing."""

        @message(asynchronous=True)
        def import_(call: Call, self: Annotated[str, Ref("Thing")], class_: str, often: int = 1) -> list[str]:  # noqa: N805
            """Bring it in."""
            return [class_] * often

    model = Datamodel([Thing])
    declared = model.messages["Thing.import"]
    assert [(each.name, each.type.name) for each in declared.parameters] == [
        ("self", "Thing ref"),
        ("class", "string"),
        ("often", "int"),
    ]
    assert (declared.required, declared.result.name, declared.doc) == (2, "string set", "Bring it in.")
    assert {"Async.Thing.import", "Thing.import", "Thing.get_all"} <= set(model.methods())
