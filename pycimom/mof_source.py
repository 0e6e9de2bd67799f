"""Where MOF comes from: the DMTF schema archive and the project's own files, and what a text declares and needs."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

_TOKEN = re.compile(
    r"""(?P<space> \s+ | //[^\n]* | /\*.*?\*/ )
      | (?P<string> "(?:[^"\\]|\\.)*" )
      | (?P<word> [A-Za-z_]\w* )
      | (?P<mark> . )""",
    re.VERBOSE | re.DOTALL,
)
_LINE_END = re.compile(r"\r\n?")
_INCLUDE = re.compile(r'#pragma\s+include\s*\(\s*"([^"]+)"\s*\)', re.IGNORECASE)


class MofError(Exception):
    """MOF that cannot be compiled: ``file:line: what is wrong``."""

    def __init__(self, file: str, line: int | None, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}" if line else f"{file}: {message}")
        self.file = file
        self.line = line
        self.message = message


@dataclass(frozen=True)
class Declaration:
    """A class as its MOF declares it: where, and the names of the classes that it needs."""

    name: str
    file: str
    line: int
    superclass: str | None
    refers_to: frozenset[str] = frozenset()

    @property
    def needs(self) -> frozenset[str]:
        """The superclass and all classes referred to."""
        return self.refers_to | {self.superclass} if self.superclass else self.refers_to


@dataclass(frozen=True)
class MofText:
    """A piece of MOF and the name of the file it stands in; whatever its line ends were, they are newlines here."""

    file: str
    text: str
    declarations: tuple[Declaration, ...] = field(init=False)

    def __post_init__(self) -> None:
        # A lone carriage return is no line to pywbem's compiler, and breaks how it tells of errors.
        object.__setattr__(self, "text", _LINE_END.sub("\n", self.text))
        object.__setattr__(self, "declarations", tuple(_declarations(self.file, self.text)))


class SchemaArchive:
    """The DMTF CIM schema as the zip file of MOF files that the DMTF publishes: one class a file."""

    def __init__(self, path: Path) -> None:
        """Open the archive; MofError if it is not such a zip file."""
        self._name = path.name
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise MofError(str(path), None, f"this is not a readable zip file of a CIM schema ({error}).") from error
        self._members = {
            PurePosixPath(name).name.removesuffix(".mof").lower(): name
            for name in self._zip.namelist()
            if name.endswith(".mof")
        }
        main = [name for key, name in self._members.items() if key.startswith("cim_schema_")]
        if len(main) != 1 or "qualifiers" not in self._members:
            raise MofError(str(path), None, "the archive has no cim_schema_*.mof with its qualifiers.mof.")
        included = (PurePosixPath(name).stem for name in _INCLUDE.findall(self._read(main[0])))
        self._order = {name.lower(): position for position, name in enumerate(included)}

    def __contains__(self, class_name: str) -> bool:
        return class_name.lower() in self._order

    def position(self, class_name: str) -> int:
        """Return where the class stands in the order of the schema; unknown classes come last."""
        return self._order.get(class_name.lower(), len(self._order))

    def class_names(self) -> Sequence[str]:
        """Return the names of all classes, in the order of the schema."""
        return [PurePosixPath(self._members[key]).stem for key in self._order if not key.startswith("qualifiers")]

    def read_class(self, class_name: str) -> MofText:
        """Return the MOF of a class."""
        return self._mof(self._members[class_name.lower()])

    def qualifiers(self) -> Iterator[MofText]:
        """Yield the MOF of the qualifier declarations."""
        for key in ("qualifiers", "qualifiers_optional"):
            if key in self._members:
                yield self._mof(self._members[key])

    def _mof(self, member: str) -> MofText:
        return MofText(f"{self._name}/{member}", self._read(member))

    def _read(self, member: str) -> str:
        return self._zip.read(member).decode("utf-8", errors="replace")


def read_mof(path: Path) -> MofText:
    """Read a MOF file; MofError if that fails."""
    try:
        return MofText(str(path), path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise MofError(str(path), None, f"the file cannot be read ({error}).") from error


def _declarations(file: str, text: str) -> Iterator[Declaration]:
    """Find the classes of a text and what they refer to, without compiling it."""
    tokens = list(_tokens(text))
    starts = [index for index, (_, word, depth) in enumerate(tokens) if depth == 0 and word.lower() == "class"]
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else len(tokens)
        if start + 1 >= len(tokens):
            continue
        line, name, _ = tokens[start + 1]
        superclass = tokens[start + 3][1] if start + 3 < end and tokens[start + 2][1] == ":" else None
        yield Declaration(name, file, line, superclass, frozenset(_referred(tokens[start:end])))


def _tokens(text: str) -> Iterator[tuple[int, str, int]]:
    """Yield the line, the text and the depth in braces and brackets of each token."""
    line, depth = 1, 0
    for match in _TOKEN.finditer(text):
        piece = match.group()
        if match.lastgroup != "space":
            depth -= piece in ("}", "]", ")")
            yield line, piece, depth
            depth += piece in ("{", "[", "(")
        line += piece.count("\n")


def _referred(tokens: Sequence[tuple[int, str, int]]) -> Iterator[str]:
    for (_, word, _), (_, second, _), (_, third, _) in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if second.lower() == "ref" and word[:1].isidentifier():
            yield word
        elif word.lower() == "embeddedinstance" and second == "(" and third.startswith('"'):
            yield third[1:-1]
