"""The text of CIM values, there and back (DSP0201 5.2.4, DSP0004 5.2)."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from math import isinf, isnan
from typing import Any

from cim_provider import Scalar

INTEGERS = {
    f"{sign}int{bits}": (0 if sign == "u" else -(1 << (bits - 1)), (1 << (bits - (sign == "s"))) - 1)
    for sign in "us"
    for bits in (8, 16, 32, 64)
}
"""The integer types with their lowest and highest value."""
REALS = frozenset({"real32", "real64"})
LONGEST_NUMBER = 400
"""In characters; the longest real64 written out has 309 digits before the point."""

_SPECIAL = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_INTEGER = re.compile(r"[+-]?(?:\d+|0[xX][0-9a-fA-F]+)", re.ASCII)
_REAL = re.compile(r"[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?", re.ASCII)
_SPECIAL_REALS = {"inf": float("inf"), "-inf": float("-inf"), "nan": float("nan")}
_POINT_IN_TIME = re.compile(
    r"(\d{4})(\d\d|\*\*)(\d\d|\*\*)(\d\d|\*\*)(\d\d|\*\*)(\d\d|\*\*)\.([\d*]{6})([+-])(\d{3})", re.ASCII
)
_INTERVAL = re.compile(r"(\d{8})(\d\d|\*\*)(\d\d|\*\*)(\d\d|\*\*)\.([\d*]{6}):000", re.ASCII)


def escape(text: str) -> str:
    """Return text as the content of an element. What XML cannot say at all becomes U+FFFD."""
    if _SPECIAL.search(text) is None:
        return text
    return _SPECIAL.sub(lambda found: _ESCAPES.get(found[0], "\ufffd"), text)


def escape_attribute(text: str) -> str:
    """Return text as the content of an attribute in double quotes."""
    return escape(text).replace('"', "&quot;").replace("\t", "&#9;").replace("\n", "&#10;")


def datetime_text(value: datetime | timedelta) -> str:
    """Return the 25 characters of a CIM datetime; a time without zone is UTC."""
    if isinstance(value, timedelta):
        minutes, seconds = divmod(value.seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{value.days:08d}{hours:02d}{minutes:02d}{seconds:02d}.{value.microseconds:06d}:000"
    offset = value.utcoffset() or timedelta(0)
    return (
        f"{value.year:04d}{value.month:02d}{value.day:02d}{value.hour:02d}{value.minute:02d}{value.second:02d}"
        f".{value.microsecond:06d}{int(offset.total_seconds() // 60):+04d}"
    )


def _boolean_text(value: bool) -> str:
    if value is True:
        return "TRUE"
    if value is False:
        return "FALSE"
    raise TypeError("it is not a boolean")


def _integer_text(cim_type: str) -> Callable[[int], str]:
    lowest, highest = INTEGERS[cim_type]

    def text(value: int) -> str:
        # Enumerations are integers too; booleans are not, whatever Python says.
        kind = value.__class__
        if (kind is int or (isinstance(value, int) and kind is not bool)) and lowest <= value <= highest:
            return f"{value:d}"
        raise TypeError(f"it is no {cim_type}")

    return text


def _real_text(digits: int) -> Callable[[float], str]:
    pattern = f"%.{digits}E"

    def text(value: float) -> str:
        if isnan(value):
            return "NaN"
        if isinf(value):
            return "INF" if value > 0 else "-INF"
        return pattern % value

    return text


_WRITERS: dict[str, Callable[[Any], str]] = {
    "boolean": _boolean_text,
    "datetime": datetime_text,
    "string": escape,
    "char16": escape,
    "real32": _real_text(8),
    "real64": _real_text(16),
    **{cim_type: _integer_text(cim_type) for cim_type in INTEGERS},
}


def writer(cim_type: str) -> Callable[[Any], str]:
    """Return what turns a value of this type into the escaped text of an element."""
    return _WRITERS[cim_type]


def parse(cim_type: str, text: str) -> Scalar:
    """Return the value of a text, or raise ValueError with the reason. Only strings keep surrounding white space."""
    if cim_type == "string":
        return text
    if cim_type == "char16":
        if len(text) != 1:
            raise ValueError("a char16 is exactly one character")
        return text
    text = text.strip()
    if cim_type in INTEGERS:
        return _parse_integer(cim_type, text)
    if cim_type == "boolean":
        return _parse_boolean(text)
    if cim_type in REALS:
        value = _parse_real(text)
        return value if cim_type == "real64" else _single_precision(value)
    if cim_type == "datetime":
        return parse_datetime(text)
    raise ValueError(f"there is no text for the type {cim_type}")


def _parse_integer(cim_type: str, text: str) -> int:
    lowest, highest = INTEGERS[cim_type]
    if len(text) > LONGEST_NUMBER or not _INTEGER.fullmatch(text):
        raise ValueError("it is not an integer")
    value = int(text, 16 if "x" in text.lower() else 10)
    if not lowest <= value <= highest:
        raise ValueError(f"a {cim_type} lies between {lowest} and {highest}")
    return value


def _parse_boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered not in ("true", "false"):
        raise ValueError("a boolean is TRUE or FALSE")
    return lowered == "true"


def _parse_real(text: str) -> float:
    special = _SPECIAL_REALS.get(text.lower())
    if special is not None:
        return special
    if len(text) > LONGEST_NUMBER or not _REAL.fullmatch(text):
        raise ValueError("it is not a real number")
    return float(text)


def _single_precision(value: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        raise ValueError("it is too large for a real32") from None


def parse_datetime(text: str) -> datetime | timedelta:
    """Return a point in time, or an interval. Digits given as ``*`` are read as the lowest that may stand there."""
    if found := _INTERVAL.fullmatch(text):
        days, hours, minutes, seconds = (int(part.replace("*", "0")) for part in found.groups()[:4])
        if hours > 23 or minutes > 59 or seconds > 59:
            raise ValueError("it is not an interval: an hour, minute or second is out of range")
        return timedelta(
            days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=int(found[5].replace("*", "0"))
        )
    if found := _POINT_IN_TIME.fullmatch(text):
        year, month, day, hour, minute, second, microsecond, sign, offset = found.groups()
        zone = timezone(timedelta(minutes=int(sign + offset)))
        return datetime(
            int(year),
            int(month.replace("**", "1")),
            int(day.replace("**", "1")),
            int(hour.replace("*", "0")),
            int(minute.replace("*", "0")),
            int(second.replace("*", "0")),
            int(microsecond.replace("*", "0")),
            tzinfo=zone,
        )
    raise ValueError("a datetime is yyyymmddhhmmss.mmmmmm+uuu, an interval ddddddddhhmmss.mmmmmm:000")
