"""Expressions that select records: what they mean, and that whatever comes is understood or refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xenapi_core.datamodel import Datamodel
from xenapi_core.datamodel.filters import DEEPEST, LONGEST, FilterError, parse

FIELDS = Datamodel.load().classes["VM"].fields


@pytest.mark.parametrize(
    ("expression", "condition"),
    [
        ("true", lambda vm: True),
        ("false", lambda vm: False),
        ('field "power_state" = "Running"', lambda vm: vm["power_state"] == "Running"),
        (
            'field "power_state"="Running" and field "is_control_domain"="false"',
            lambda vm: vm["power_state"] == "Running" and not vm["is_control_domain"],
        ),
        ('not field "is_a_template" = "true"', lambda vm: not vm["is_a_template"]),
        (
            'field "name__label" = "vm00001" or field "VCPUs__max" = "2"',
            lambda vm: vm["name_label"] == "vm00001" or vm["VCPUs_max"] == 2,
        ),
        ("true or false and false", lambda vm: True),
        ("not (true or false)", lambda vm: False),
        ('"Halted" = field "power_state"', lambda vm: vm["power_state"] == "Halted"),
        (
            'field "memory_static_max" = field "memory_dynamic_max"',
            lambda vm: vm["memory_static_max"] == vm["memory_dynamic_max"],
        ),
        ('field "tags" = "()"', lambda vm: not vm["tags"]),
    ],
)
async def test_expressions_select(pool, expression, condition):
    expected = {vm.ref for vm in pool.store.records("VM") if condition(vm)}
    assert set(await pool.do("VM.get_all_where", expression)) == expected
    assert set(await pool.do("VM.get_all_records_where", expression)) == expected


async def test_a_reference_can_be_asked_for(pool):
    vm = pool.vm("Running")
    assert await pool.do("VM.get_all_where", f'field "_ref" = "{vm}"') == [vm]


async def test_quotation_marks_can_be_escaped(pool):
    vm = pool.vm("Halted")
    pool.update(vm, name_label='a "b" \\c')
    assert await pool.do("VM.get_all_where", r'field "name_label" = "a \"b\" \\c"') == [vm]


@pytest.mark.parametrize(
    "expression",
    ["", "field", 'field "none" = "x"', "true true", "(true", "true)", 'field "uuid" "x"', '"open', "maybe", "true and",
     "!", "not " * (DEEPEST + 2) + "true", "(" * 2000 + "true" + ")" * 2000, '"' + "x" * LONGEST + '" = "x"'],
)  # fmt: skip
async def test_what_is_no_expression_is_refused(api, expression):
    await api.login()
    error = await api.fails("VM.get_all_records_where", expression)
    assert error[:2] == ["INVALID_VALUE", "expr"]


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["field", "and", "or", "not", "true", "(", ")", "=", '"uuid"', '"'])).map(" ".join)
)
def test_whatever_comes_is_understood_or_refused(text):
    with contextlib.suppress(FilterError):
        assert callable(parse(text, FIELDS))


def test_every_class_with_objects_can_be_searched(datamodel):
    for name, definition in datamodel.classes.items():
        if definition.stored:
            assert datamodel.messages[f"{name}.get_all_records_where"].role == definition.readers
