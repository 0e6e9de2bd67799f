"""Units of quantities, as clients write them in AllocationUnits."""

from __future__ import annotations

import re
from collections.abc import Mapping

COUNT = "count"
BYTE = "byte"

_PREFIXES = {"": 0, "k": 10, "kilo": 10, "m": 20, "mega": 20, "g": 30, "giga": 30, "t": 40, "tera": 40}
_WORDS: Mapping[str, int] = {
    f"{prefix}{unit}": 1 << power
    for prefix, power in _PREFIXES.items()
    for unit in (("b",) if len(prefix) == 1 else ("byte", "bytes"))
}
"""In words of old clients, lower case: KB and KiloBytes mean 1,024 bytes."""
_PROGRAMMATIC = re.compile(r"bytes?\s*\*\s*(?:2\s*\^\s*(\d{1,2})|10\s*\^\s*(\d{1,2}))", re.IGNORECASE)
"""DSP0004 Annex C, as far as it is about amounts of data: ``byte*2^20``."""


def bytes_in(units: str) -> int | None:
    """Return how many bytes one of a unit of data is; None for what is no unit of data."""
    text = units.strip()
    match = _PROGRAMMATIC.fullmatch(text)
    if match is not None:
        power = int(match[1] or match[2])
        if power > 60:
            return None
        return 1 << power if match[1] is not None else int(10**power)
    return _WORDS.get(text.lower())


def is_count(units: str) -> bool:
    """Say whether a unit counts things."""
    return units.strip().lower() in ("count", "counts")
