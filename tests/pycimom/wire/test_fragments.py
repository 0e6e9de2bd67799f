"""Encoded instances that are kept: the bytes are those of an encoder that keeps nothing, and none are kept twice."""

from __future__ import annotations

import asyncio
import gc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pycimom.cimxml.writing import Writer
from pycimom.fragments import Found, Fragments, Shape

SHAPES = (Shape.NAMED_INSTANCE, Shape.OBJECT_WITH_PATH, Shape.INSTANCE_NAME, Shape.INSTANCE)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.integers(0, 19)),
        st.tuples(st.just("whole"), st.sampled_from(SHAPES)),
        st.tuples(st.just("part"), st.sampled_from(SHAPES)),
    ),
    max_size=12,
)


@pytest.fixture
def make(tools):
    """Make an instance; its Caption says how often it was changed."""

    def make(number: int, version: int = 0):
        return tools.named("T_System", {"Name": f"system {number}", "Number": number}, Caption=f"{version}" * 500)

    return make


async def encoded(fragments: Fragments, shape: Shape, rows, whole: bool, keep: bool = True) -> bytes:
    return b"".join(await fragments.encode(shape, Found("root/cimv2", rows, whole), keep=keep))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, budget=st.sampled_from([0, 3_000, 30_000, 1 << 20]))
def test_what_is_kept_is_what_would_be_made(fixed_schema, make, steps, budget):
    writer = Writer(fixed_schema)
    keeping = Fragments(writer, "host", budget)

    async def run() -> None:
        rows = tuple(make(number) for number in range(20))
        for version, (step, what) in enumerate(steps):
            if step == "change":
                rows = (*rows[:what], make(what, version), *rows[what + 1 :])
                continue
            part = rows if step == "whole" else rows[5:15]
            fresh = await encoded(Fragments(writer, "host", 0), what, part, whole=False, keep=False)
            assert await encoded(keeping, what, part, whole=step == "whole") == fresh
            assert keeping.used <= budget

    asyncio.run(run())


async def test_nothing_is_kept_twice(fixed_schema, make):
    fragments = Fragments(Writer(fixed_schema), "host", 1 << 20)
    rows = tuple(make(number) for number in range(100))
    size = len(await encoded(fragments, Shape.NAMED_INSTANCE, rows, whole=True))
    once = fragments.used
    assert size <= once < 1.5 * size
    for number in range(100):
        rows = (*rows[:number], make(number, number), *rows[number + 1 :])
        await encoded(fragments, Shape.NAMED_INSTANCE, rows, whole=True)
        await encoded(fragments, Shape.OBJECT_WITH_PATH, rows[:50], whole=False)
    assert fragments.used < 1.5 * size
    del rows
    await encoded(fragments, Shape.NAMED_INSTANCE, (make(0),), whole=True)
    gc.collect()
    assert fragments.used < 0.05 * size
