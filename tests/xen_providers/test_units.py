"""Units of amounts of data, and what only looks like one."""

from __future__ import annotations

import pytest

from xen_providers.methods.units import bytes_in, is_count


@pytest.mark.parametrize(
    ("units", "size"),
    [
        ("Bytes", 1),
        ("byte", 1),
        ("KB", 1 << 10),
        ("KiloBytes", 1 << 10),
        ("MB", 1 << 20),
        ("megabyte", 1 << 20),
        ("GigaBytes", 1 << 30),
        ("byte*2^20", 1 << 20),
        ("byte * 2^30", 1 << 30),
        ("byte*10^9", 10**9),
        ("KiloMeters", None),
        ("byte*2^61", None),
        ("byte*3^2", None),
        ("Kilo", None),
        ("count", None),
        ("", None),
    ],
)
def test_units_of_data(units, size):
    assert bytes_in(units) == size


def test_counts():
    assert is_count("count")
    assert is_count(" Count ")
    assert not is_count("countess")
