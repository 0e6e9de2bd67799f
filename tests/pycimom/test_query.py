"""Queries: what they select, what is wrong with bad ones, and a comparison with an evaluation written naively."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cim_provider import CimError, Instance, Status
from pycimom.query import MAX_LENGTH, compile_filter, compile_query
from pycimom.query.patterns import PatternError, regular, wildcards
from pycimom.repository import NamespaceClasses, Repository


@pytest.fixture(scope="session")
def classes(repository: Repository) -> NamespaceClasses:
    return NamespaceClasses(repository, "root/cimv2")


def system(class_name: str = "Test_System", **properties: Any) -> Instance:
    return Instance(class_name, properties)


def selects(classes: NamespaceClasses, condition: str, instance: Instance, language: str = "WQL") -> bool:
    query = compile_query(f"SELECT * FROM Test_System WHERE {condition}", language, classes)
    return query.matches(instance)


def problem(classes: NamespaceClasses, text: str, language: str = "WQL") -> CimError:
    with pytest.raises(CimError) as error:
        compile_query(text, language, classes)
    return error.value


def position(error: CimError) -> int:
    found = re.search(r"\(at character (\d+)\)", error.description)
    assert found, error.description
    return int(found[1])


NOW = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)
SYSTEM = system(Name="web 'one'", Weight=5, Ratio=0.5, Modes=[1, 3], Since=NOW, EnabledState=2, Description="")


class TestConditions:
    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            ("Weight = 5", True),
            ("weight=5", True),
            ("Test_System.Weight = 5", True),
            ("5 = Weight", True),
            ("Weight <> 5", False),
            ("Weight != 4", True),
            ("Weight < 5.5 AND Weight >= 0x5", True),
            ("Weight > -1", True),
            ("Ratio = 5e-1", True),
            ("Weight = 101b AND Weight <> -0101B", True),
            ("Weight = EnabledState", False),
            ("Name = \"web 'one'\"", True),
            (r"Name = 'web \'one\''", True),
            ("Name = 'WEB \\'one\\''", False),
            ("Description = ''", True),
            ("NOT Weight = 5 OR Ratio < 1 AND Name IS NOT NULL", True),
            ("NOT (Weight = 5 OR Ratio < 1)", False),
            ("Caption IS NULL", True),
            ("Caption = 'x'", False),
            ("NOT Caption = 'x'", False),
            ("Caption <> 'x'", False),
            ("Caption = 'x' OR Weight = 5", True),
            ("Caption LIKE '%'", False),
            ("Name LIKE 'web %one_'", True),
            ("Name NOT LIKE '%two%'", True),
            ("Name LIKE '[v-x]eb%'", True),
            ("Name LIKE '[^v-x]eb%'", False),
            ("Since = '20240229130000.000000+060'", True),
            ("Since > '20240229115959.999999+000'", True),
            ("'20240229115959.999999+000' < Since", True),
        ],
    )
    def test_wql(self, classes: NamespaceClasses, condition: str, expected: bool):
        assert selects(classes, condition, SYSTEM) is expected

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            ("Modes[0] = 1", True),
            ("Modes[2] = 1", False),
            ("Modes[2] IS NULL", True),
            ("Modes[*] = 3", True),
            ("Modes[*] = 4", False),
            ("Test_System::Weight = 5", True),
            ("CIM_ComputerSystem::Name LIKE 'w.b .*'", True),
            ("Test_SubSystem::Is_Small IS NULL", True),
            ("Test_System ISA CIM_ComputerSystem", True),
            ("Test_System ISA Test_SubSystem", False),
            ("Name LIKE 'web'", False),
            (r"Name LIKE 'web\..*'", False),
        ],
    )
    def test_cql(self, classes: NamespaceClasses, condition: str, expected: bool):
        assert selects(classes, condition, SYSTEM, "DMTF:CQL") is expected
        assert selects(classes, condition, SYSTEM, "cim:cql") is expected

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            ("ANY Modes = 3", True),
            ("ANY Modes > 3", False),
            ("EVERY Modes < 4", True),
            ("EVERY Modes <> 3", False),
            ("NOT ANY OperationalStatus = 2", False),
            ("Weight = 5 AND NOT Name LIKE 'test.*'", True),
            ("Is_Small = TRUE", False),
        ],
    )
    def test_fql(self, classes: NamespaceClasses, condition: str, expected: bool):
        keeps = compile_filter(condition, "DMTF:FQL", classes, "Test_SubSystem")
        assert keeps(system("Test_SubSystem", **SYSTEM.properties)) is expected

    def test_booleans(self, classes: NamespaceClasses):
        small, other = system("Test_SubSystem", Is_Small=True), system("Test_SubSystem")
        for condition, of_small, of_other in [
            ("Is_Small = TRUE", True, False),
            ("Is_Small IS TRUE", True, False),
            ("Is_Small IS NOT TRUE", False, False),
            ("Is_Small IS FALSE", False, False),
            ("Is_Small <> False", True, False),
        ]:
            query = compile_query(f"SELECT * FROM Test_SubSystem WHERE {condition}", "WQL", classes)
            assert (query.matches(small), query.matches(other)) == (of_small, of_other), condition

    def test_intervals_compare_as_time(self, classes: NamespaceClasses):
        uptime = system(Since=timedelta(days=1))
        assert selects(classes, "Since > '00000000235959.000000:000'", uptime)
        assert not selects(classes, "Since > '00000001000000.000000:000'", uptime)
        assert not selects(classes, "Since > '20240229115959.999999+000'", uptime)

    def test_properties_are_named(self, classes: NamespaceClasses):
        query = compile_query("select name, Test_System.weight from test_system", "wql", classes)
        assert (query.class_name, query.properties) == ("Test_System", ("Name", "Weight"))
        assert query.matches(SYSTEM)
        assert compile_query("SELECT * FROM Test_System", "WQL", classes).properties is None


def modification(before: int | None, after: int | None, class_name: str = "Test_System") -> Instance:
    return Instance(
        "Test_SystemModification",
        {
            "PreviousInstance": Instance(class_name, {} if before is None else {"EnabledState": before}),
            "SourceInstance": Instance(class_name, {} if after is None else {"EnabledState": after}),
        },
    )


class TestIndicationFilters:
    WQL = "SELECT * FROM Test_SystemModification WHERE SourceInstance.EnabledState <> PreviousInstance.EnabledState"
    CQL = (
        "SELECT * FROM CIM_InstModification WHERE SourceInstance ISA CIM_ComputerSystem AND "
        "SourceInstance.CIM_ComputerSystem::EnabledState <> PreviousInstance.CIM_ComputerSystem::EnabledState"
    )

    @pytest.mark.parametrize(("text", "language"), [(WQL, "WQL"), (CQL, "DMTF:CQL")])
    def test_only_changes_of_state(self, classes: NamespaceClasses, text: str, language: str):
        query = compile_query(text, language, classes)
        assert query.matches(modification(3, 2))
        assert not query.matches(modification(2, 2))
        assert not query.matches(modification(None, 2))

    def test_cql_scope_and_isa_look_at_the_class(self, classes: NamespaceClasses):
        query = compile_query(self.CQL, "DMTF:CQL", classes)
        assert query.matches(modification(3, 2, "Test_SubSystem"))
        assert not query.matches(modification(3, 2, "CIM_ConcreteJob"))
        assert not query.matches(modification(3, 2, "Foreign_Class"))

    @pytest.mark.parametrize("quoted", ["CIM_ComputerSystem", "'CIM_ComputerSystem'", '"CIM_ComputerSystem"'])
    def test_isa_in_wql(self, classes: NamespaceClasses, quoted: str):
        query = compile_query(f"SELECT * FROM CIM_InstIndication WHERE sourceinstance isa {quoted}", "WQL", classes)
        assert query.matches(modification(3, 2))
        assert not query.matches(modification(3, 2, "CIM_ConcreteJob"))
        assert not query.matches(Instance("Test_SystemModification", {}))


WORDS = "( ) NOT AND OR Weight Name = < 5 'x' LIKE IS NULL ISA Modes [ 0 ] . :: ANY"


def attempt(evaluate: Callable[[], bool]) -> bool | Status:
    try:
        return evaluate()
    except CimError as error:
        return error.status


class TestBadQueries:
    @pytest.mark.parametrize(
        ("text", "at", "says"),
        [
            ("", 1, "Expected SELECT"),
            ("SELECT", 7, "the end"),
            ("SELECT * FROM", 14, "name of a class"),
            ("SELECT * FROM Nothing", 15, "no class Nothing"),
            ("SELECT * FROM Test_System WHERE", 32, "the end"),
            ("SELECT * FROM Test_System WHERE Nonsense = 1", 33, "no property Nonsense"),
            ("SELECT Nonsense FROM Test_System", 8, "no property Nonsense"),
            ("SELECT * FROM Test_System WHERE Weight = 'x'", 33, "Weight is a number"),
            ("SELECT * FROM Test_System WHERE Name LIKE 5", 43, "pattern"),
            ("SELECT * FROM Test_System WHERE Weight LIKE '5'", 33, "LIKE is for strings"),
            ("SELECT * FROM Test_System WHERE Name = NULL", 40, "IS NULL"),
            ("SELECT * FROM Test_System WHERE Modes = 1", 33, "array"),
            ("SELECT * FROM Test_System WHERE Name.X = 1", 38, "no properties"),
            ("SELECT * FROM Test_System WHERE Settings.Nonsense = 1", 42, "no property Nonsense"),
            ("SELECT * FROM Test_System WHERE Since > 'noon'", 41, "datetime"),
            ("SELECT * FROM Test_System WHERE Weight", 39, "comparison"),
            ("SELECT * FROM Test_System WHERE (Weight = 1", 44, "Expected )"),
            ("SELECT * FROM Test_System WHERE Weight = 1 Name", 44, "Expected the end"),
            ("SELECT * FROM Test_System WHERE Name = 'x", 40, "does not end"),
            ("SELECT * FROM Test_System WHERE Name ; 1", 38, "unexpected"),
            ("SELECT * FROM Test_System WHERE Name ISA CIM_System", 33, "no embedded instance"),
            ("SELECT * FROM Test_System WHERE Settings ISA Nothing", 33, "no class Nothing"),
            ("SELECT * FROM Test_System WHERE Weight IN (1, 2)", 40, "comparison"),
        ],
    )
    def test_the_error_says_what_and_where(self, classes: NamespaceClasses, text: str, at: int, says: str):
        error = problem(classes, text)
        assert error.status is Status.INVALID_QUERY
        assert says in error.description
        assert position(error) == at

    def test_languages(self, classes: NamespaceClasses):
        error = problem(classes, "SELECT * FROM Test_System", "SQL")
        assert error.status is Status.QUERY_LANGUAGE_NOT_SUPPORTED
        assert "DMTF:CQL" in error.description
        with pytest.raises(CimError) as caught:
            compile_filter("Weight = 1", "WQL", classes, "Test_System")
        assert caught.value.status is Status.QUERY_LANGUAGE_NOT_SUPPORTED
        assert (
            problem(classes, "SELECT * FROM Test_System WHERE Test_System::Weight = 1").status is Status.INVALID_QUERY
        )

    def test_limits(self, classes: NamespaceClasses):
        head = "SELECT * FROM Test_System WHERE "
        assert "longer" in problem(classes, head + " " * MAX_LENGTH + "Weight = 1").description
        assert "nested" in problem(classes, head + "(" * 5000 + "Weight = 1" + ")" * 5000).description
        assert "nested" in problem(classes, head + "NOT " * 2000 + "Weight = 1").description
        wide = head + " OR ".join(["Weight = 1"] * 900)
        assert not compile_query(wide, "WQL", classes).matches(SYSTEM)
        pattern = "SELECT * FROM Test_System WHERE Name LIKE '" + "%" * 600 + "'"
        assert "longer than 512" in problem(classes, pattern).description

    @given(text=st.text(max_size=200))
    def test_any_text_is_a_query_or_an_error(self, classes: NamespaceClasses, text: str):
        for query in (text, f"SELECT * FROM Test_System WHERE {text}"):
            for language in ("WQL", "DMTF:CQL"):
                outcome = attempt(lambda: compile_query(query, language, classes).matches(SYSTEM))  # noqa: B023
                assert outcome in (True, False, Status.INVALID_QUERY)

    @given(words=st.lists(st.sampled_from(WORDS.split())))
    def test_any_words_are_a_filter_or_an_error(self, classes: NamespaceClasses, words: list[str]):
        text = " ".join(words)
        outcome = attempt(lambda: compile_filter(text, "DMTF:FQL", classes, "Test_System")(SYSTEM))
        assert outcome in (True, False, Status.INVALID_QUERY)


# A condition as hypothesis makes it: its text, and a naive function from properties to True, False or None.
COMPARE = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
NUMBERS = st.integers(-3, 3)
STRINGS = st.text("ab'\"\\ é", max_size=3)


def quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def comparison(name: str, sign: str, value: Any) -> tuple[str, Any]:
    def holds(properties: dict[str, Any]) -> bool | None:
        found = properties.get(name)
        return None if found is None else COMPARE[sign](found, value)

    return f"{name} {sign} {quote(value) if isinstance(value, str) else value}", holds


def both(sign: str) -> tuple[str, Any]:
    def holds(properties: dict[str, Any]) -> bool | None:
        one, other = properties.get("Weight"), properties.get("Ratio")
        return None if one is None or other is None else COMPARE[sign](one, other)

    return f"Weight {sign} Ratio", holds


def null(name: str, negated: bool) -> tuple[str, Any]:
    text = f"{name} IS {'NOT ' if negated else ''}NULL"
    return text, lambda properties: (properties.get(name) is None) is not negated


def negation(inner: tuple[str, Any]) -> tuple[str, Any]:
    text, holds = inner
    return f"NOT ({text})", lambda properties: None if (truth := holds(properties)) is None else not truth


def junction(word: str, parts: list[tuple[str, Any]]) -> tuple[str, Any]:
    decisive = word == "OR"

    def holds(properties: dict[str, Any]) -> bool | None:
        truths = [part(properties) for _, part in parts]
        if decisive in truths:
            return decisive
        return None if None in truths else not decisive

    return f" {word} ".join(f"({text})" for text, _ in parts), holds


SIGNS = st.sampled_from(sorted(COMPARE))
LEAVES = st.one_of(
    st.builds(comparison, st.sampled_from(["Weight", "Ratio"]), SIGNS, NUMBERS),
    st.builds(comparison, st.sampled_from(["Name", "Caption"]), SIGNS, STRINGS),
    st.builds(both, SIGNS),
    st.builds(null, st.sampled_from(["Weight", "Name", "Caption"]), st.booleans()),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(negation, inner),
        st.builds(junction, st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=8,
)
PROPERTIES = st.fixed_dictionaries(
    {}, optional={"Weight": NUMBERS, "Ratio": st.floats(-3, 3), "Name": STRINGS, "Caption": STRINGS}
)


@given(condition=CONDITIONS, properties=PROPERTIES)
def test_conditions_hold_as_the_naive_evaluation_says(
    classes: NamespaceClasses, condition: tuple[str, Any], properties: dict[str, Any]
):
    text, holds = condition
    for language in ("WQL", "DMTF:CQL"):
        assert selects(classes, text, system(**properties), language) is (holds(properties) is True)


class TestPatterns:
    @given(pattern=st.text("ab%_.", max_size=6), text=st.text("ab.\n", max_size=6))
    def test_wildcards_match_as_a_regular_expression_does(self, pattern: str, text: str):
        expression = "".join({"%": ".*", "_": "."}.get(each, re.escape(each)) for each in pattern)
        assert wildcards(pattern).matches(text) is (re.fullmatch(expression, text, re.DOTALL) is not None)

    @given(
        pattern=st.recursive(
            st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "[a-c]", "\\.", ""]),
            lambda inner: st.one_of(
                st.builds("({})*".format, inner),
                st.builds("({})+".format, inner),
                st.builds("({})?".format, inner),
                st.builds("({}|{})".format, inner, inner),
                st.builds("{}{}".format, inner, inner),
            ),
            max_leaves=6,
        ),
        text=st.text("abc.", max_size=6),
    )
    @example(pattern="(a*)*b", text="aaaa")
    def test_regular_expressions_match_as_those_of_python(self, pattern: str, text: str):
        assert regular(pattern).matches(text) is (re.fullmatch(pattern, text, re.DOTALL) is not None)

    def test_anchors_are_tolerated(self):
        assert regular("^a.c$").matches("abc")

    @pytest.mark.parametrize("pattern", ["(", ")", "a)", "[a", "*", "a|+", "\\", "(" * 50 + ")" * 50])
    def test_bad_patterns(self, pattern: str):
        with pytest.raises(PatternError):
            regular(pattern)

    def test_evil_patterns_cost_little(self):
        begun = time.process_time()
        assert not regular("(a*)*" * 20 + "b").matches("a" * 2000)
        assert not wildcards("%a" * 100 + "b").matches("a" * 2000)
        assert time.process_time() - begun < 2
