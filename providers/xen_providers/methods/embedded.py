"""Instances and names that clients write as text: MOF for embedded instances (DSP0004 Annex A), WBEM URIs for names."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import NoReturn

from cim_provider import Instance, InstanceName, KeyValue, Scalar, Value

LONGEST = 1 << 20
"""Characters of a text; an array of settings has one text for each."""

_TOKEN = re.compile(
    r"""(?P<space> \s+ | //[^\n]* | /\*.*?\*/ )
      | "(?P<string> (?: [^"\\\n] | \\. )* )"
      | '(?P<char> [^'\\\n] | \\. | \\[xX][0-9A-Fa-f]{1,4} )'
      | (?P<real> [+-]? (?: \d* \. \d+ (?: [eE] [+-]? \d+ )? | \d+ [eE] [+-]? \d+ ) (?![\w.]) )
      | (?P<binary> [+-]? [01]+ [bB] (?!\w) )
      | (?P<hex> [+-]? 0[xX] [0-9A-Fa-f]+ (?!\w) )
      | (?P<decimal> [+-]? \d+ (?![\w.]) )
      | (?P<word> [A-Za-z_]\w* )
      | (?P<mark> [{},;=] )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:[xX]([0-9A-Fa-f]{1,4})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}
_END = ("end", "the end")

Token = tuple[str, str]


class MofTextError(ValueError):
    """A text that is no instance in MOF; the message says what is wrong and in which line."""


def parse_instance(text: str) -> Instance:
    """Return the instance that a text ``instance of Class { Property = value; ... };`` describes.

    Values have the types of MOF: what is a number to the class may come as a string. NULL leaves a property out.
    Text that was escaped for XML once too often, as some clients send it, is understood.
    """
    if len(text) > LONGEST:
        raise MofTextError(f"The text has more than {LONGEST} characters.")
    if "&quot;" in text and '"' not in text:
        text = html.unescape(text)
    return _Parser(text).instance()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._tokens = self._scan()
        self._next: Token = next(self._tokens)

    def _scan(self) -> Iterator[Token]:
        at = 0
        while at < len(self._text):
            match = _TOKEN.match(self._text, at)
            self._position = at
            if match is None:
                self._fail(f"{self._text[at : at + 10]!r} cannot be read")
            at = match.end()
            kind = match.lastgroup or ""
            if kind != "space":
                yield kind, match[kind]
        self._position = at
        yield _END

    def _fail(self, problem: str) -> NoReturn:
        line = self._text.count("\n", 0, self._position) + 1
        raise MofTextError(f"Line {line} of the instance: {problem}.")

    def _take(self) -> Token:
        token, self._next = self._next, next(self._tokens, _END)
        return token

    def _expect(self, kind: str, text: str | None = None) -> str:
        found_kind, found = self._next
        if found_kind != kind or (text is not None and found.lower() != text):
            self._fail(f"{text or 'a name'} is expected, not {found}")
        return self._take()[1]

    def instance(self) -> Instance:
        self._expect("word", "instance")
        self._expect("word", "of")
        class_name = self._expect("word")
        self._expect("mark", "{")
        properties: dict[str, Value] = {}
        while self._next != ("mark", "}"):
            name = self._expect("word")
            if name.lower() in (each.lower() for each in properties):
                self._fail(f"{name} is given twice")
            self._expect("mark", "=")
            properties[name] = self._value()
            self._expect("mark", ";")
        self._take()
        if self._next == ("mark", ";"):
            self._take()
        if self._next != _END:
            self._fail("something follows the instance")
        return Instance(class_name, {name: value for name, value in properties.items() if value is not None})

    def _value(self) -> Value:
        if self._next != ("mark", "{"):
            return self._scalar()
        self._take()
        values: list[Scalar] = []
        while self._next != ("mark", "}"):
            if values:
                self._expect("mark", ",")
            values.append(self._scalar())
        self._take()
        return values

    def _scalar(self) -> Scalar:
        kind, text = self._take()
        if kind == "string":
            parts = [text]
            while self._next[0] == "string":
                parts.append(self._take()[1])
            return "".join(map(_unescaped, parts))
        if kind == "char":
            return _unescaped(text)
        if kind == "real":
            return float(text)
        if kind in ("binary", "hex", "decimal"):
            return _integer(kind, text)
        constants: dict[str, Scalar] = {"true": True, "false": False, "null": None}
        if kind != "word" or text.lower() not in constants:
            self._fail(f"a value is expected, not {text}")
        return constants[text.lower()]


def _integer(kind: str, text: str) -> int:
    if kind == "binary":
        return int(text[:-1], 2)
    if kind == "hex":
        return int(text, 16)
    digits = text.lstrip("+-")
    octal = digits.startswith("0") and digits.isdigit() and set(digits) <= set("01234567")
    return int(text, 8 if octal else 10)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _ESCAPED.get(match[2], match[2]), text)


_URI = re.compile(
    r"""(?: (?:\w+:)? //[^/]*/ )?          # scheme and authority: any
        (?: (?P<namespace> [\w/]+ ) : )?
        (?P<class> [A-Za-z_]\w* ) \. (?P<keys> .+ )""",
    re.VERBOSE | re.DOTALL,
)
_KEY = re.compile(
    r"""(?P<name>[A-Za-z_]\w*) = (?: "(?P<string>(?:[^"\\]|\\.)*)" | (?P<other>[^",]+) )""", re.VERBOSE | re.DOTALL
)


def parse_name(text: str) -> InstanceName | None:
    """Return the name that a WBEM URI (DSP0207) such as ``root/cimv2:Class.Key="v"`` stands for; None if it is none."""
    match = _URI.fullmatch(text.strip())
    if match is None or len(text) > LONGEST:
        return None
    keys: list[tuple[str, KeyValue]] = []
    rest = match["keys"]
    while True:
        key = _KEY.match(rest)
        if key is None:
            return None
        keys.append((key["name"], _key_value(key)))
        if key.end() == len(rest):
            return InstanceName(match["class"], tuple(keys), match["namespace"])
        if rest[key.end()] != ",":
            return None
        rest = rest[key.end() + 1 :]


def _key_value(match: re.Match[str]) -> KeyValue:
    if match["string"] is not None:
        return _unescaped(match["string"])
    text = match["other"].strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else text


def last_part(text: str) -> str:
    """Return what follows the last ``/`` of a device's id, or of the id in a path."""
    name = parse_name(text)
    key = str(name.get("DeviceID") or name.get("InstanceID") or "") if name is not None else text
    return key.rpartition("/")[2].rpartition(":")[2]
