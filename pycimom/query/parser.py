"""From words to a tree, by recursive descent.

query     = SELECT ( "*" | path { "," path } ) FROM name [ WHERE condition ]
condition = both { OR both }
both      = single { AND single }
single    = NOT single | "(" condition ")" | predicate
predicate = [ ANY | EVERY ] operand ( comparator operand | [ NOT ] LIKE string | IS [ NOT ] ( NULL | TRUE | FALSE )
            | ISA class )
path      = step { "." step }
step      = [ class "::" ] name [ "[" ( number | "*" ) "]" ]

DMTF:FQL is a condition alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as OneOf

from pycimom.query.errors import invalid
from pycimom.query.expressions import (
    And,
    Comparison,
    Condition,
    Isa,
    IsNull,
    Like,
    Literal,
    Not,
    Operand,
    Operator,
    Or,
    Path,
    Select,
    Step,
)
from pycimom.query.lexer import Token, tokens

MAX_DEPTH = 32

_OPERATORS: dict[str, Operator] = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_RESERVED = frozenset(["SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "LIKE", "IS", "ISA", "NULL", "TRUE", "FALSE"])


@dataclass(frozen=True)
class Dialect:
    """In what a language differs from the others."""

    scopes: bool = False
    """``class::property``"""
    indexes: bool = False
    """``array[2]`` and ``array[*]``"""
    quantifiers: bool = False
    """``ANY array = 2``"""
    pattern_escapes: str = ""
    """Characters whose escapes belong to the pattern after LIKE, not to the string."""


def parse_query(text: str, dialect: Dialect) -> Select:
    """Parse a query; CimError INVALID_QUERY says what is wrong and where."""
    parser = _Parser(text, dialect)
    result = parser.query()
    parser.finish()
    return result


def parse_condition(text: str, dialect: Dialect) -> Condition:
    """Parse a condition; CimError INVALID_QUERY says what is wrong and where."""
    parser = _Parser(text, dialect)
    result = parser.condition()
    parser.finish()
    return result


class _Parser:
    def __init__(self, text: str, dialect: Dialect) -> None:
        self._tokens = list(tokens(text))
        self._next = 0
        self._depth = 0
        self._dialect = dialect

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def query(self) -> Select:
        self._expect("SELECT")
        properties = None if self._take("*") else self._paths()
        self._expect("FROM")
        position = self._token.position
        class_name = self._name("the name of a class")
        return Select(properties, class_name, self.condition() if self._take("WHERE") else None, position)

    def condition(self) -> Condition:
        operands = [self._both()]
        while self._take("OR"):
            operands.append(self._both())
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def finish(self) -> None:
        if self._token.kind != "end":
            raise self._unexpected("the end")

    def _both(self) -> Condition:
        operands = [self._single()]
        while self._take("AND"):
            operands.append(self._single())
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def _single(self) -> Condition:
        position = self._token.position
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise invalid(f"The query is nested more than {MAX_DEPTH} deep", position)
        try:
            if self._take("NOT"):
                return Not(self._single())
            if self._take("("):
                inner = self.condition()
                self._expect(")")
                return inner
            return self._predicate()
        finally:
            self._depth -= 1

    def _predicate(self) -> Condition:
        quantifier = self._quantifier()
        position = self._token.position
        left = self._operand()
        after = self._token
        if operator := _OPERATORS.get(after.keyword):
            self._next += 1
            return Comparison(operator, left, self._operand(), position, quantifier)
        if not isinstance(left, Path):
            raise self._unexpected("a comparison")
        negated = self._take("NOT")
        if self._take("LIKE"):
            like = Like(left, self._pattern(), position, quantifier)
            return Not(like) if negated else like
        if negated or quantifier:
            raise self._unexpected("LIKE" if negated else "a comparison")
        if self._take("ISA"):
            return Isa(left, self._class_name(), position)
        if self._take("IS"):
            return self._is(left)
        raise self._unexpected("a comparison")

    def _is(self, left: Path) -> Condition:
        negated = self._take("NOT")
        result: Condition
        if self._take("NULL"):
            result = IsNull(left)
        elif self._token.keyword in ("TRUE", "FALSE"):
            result = Comparison("=", left, Literal(self._token.keyword == "TRUE", self._token.position), left.position)
            self._next += 1
        else:
            raise self._unexpected("NULL, TRUE or FALSE")
        return Not(result) if negated else result

    def _quantifier(self) -> OneOf["ANY", "EVERY"] | None:
        if self._dialect.quantifiers and self._tokens[min(self._next + 1, len(self._tokens) - 1)].kind == "name":
            if self._take("ANY"):
                return "ANY"
            if self._take("EVERY"):
                return "EVERY"
        return None

    def _operand(self) -> Operand:
        token = self._token
        if token.kind == "string" or token.kind == "number":
            self._next += 1
            return Literal(token.string() if token.kind == "string" else token.number(), token.position)
        if token.keyword in ("TRUE", "FALSE"):
            self._next += 1
            return Literal(token.keyword == "TRUE", token.position)
        if token.keyword == "NULL":
            raise invalid("A comparison with NULL is never true; use IS NULL or IS NOT NULL", token.position)
        return self._path()

    def _paths(self) -> tuple[Path, ...]:
        paths = [self._path()]
        while self._take(","):
            paths.append(self._path())
        return tuple(paths)

    def _path(self) -> Path:
        position = self._token.position
        steps = [self._step()]
        while self._take("."):
            steps.append(self._step())
        return Path(tuple(steps), position)

    def _step(self) -> Step:
        position = self._token.position
        name = self._name("the name of a property")
        scope = None
        if self._dialect.scopes and self._take("::"):
            scope, name = name, self._name("the name of a property")
        index: int | OneOf["*"] | None = None
        if self._dialect.indexes and self._take("["):
            if self._take("*"):
                index = "*"
            elif self._token.text.isdecimal():
                index = int(self._token.text)
                self._next += 1
            else:
                raise self._unexpected("an index")
            self._expect("]")
        return Step(name, scope, index, position)

    def _pattern(self) -> str:
        token = self._token
        if token.kind != "string":
            raise self._unexpected("a pattern in quotes")
        self._next += 1
        return token.string(keep=self._dialect.pattern_escapes)

    def _class_name(self) -> str:
        """Return a class's name, which some clients put into quotes."""
        if self._token.kind == "string":
            self._next += 1
            return self._tokens[self._next - 1].string()
        return self._name("the name of a class")

    def _name(self, what: str) -> str:
        token = self._token
        if token.kind != "name" or token.keyword in _RESERVED:
            raise self._unexpected(what)
        self._next += 1
        return token.text

    def _take(self, keyword: str) -> bool:
        if self._token.keyword == keyword:
            self._next += 1
            return True
        return False

    def _expect(self, keyword: str) -> None:
        if not self._take(keyword):
            raise self._unexpected(keyword)

    def _unexpected(self, wanted: str) -> Exception:
        found = "the end" if self._token.kind == "end" else self._token.text[:40]
        return invalid(f"Expected {wanted}, found {found}", self._token.position)
