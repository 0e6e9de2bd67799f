"""What is wrong with a settings file: which file, which line, which setting, and what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong."""

    file: str
    line: int | None
    """None if it is not in one place."""
    setting: str
    """The setting's dotted name; empty if the whole file is meant."""
    sentence: str
    """What has to be otherwise; the setting's name is its subject."""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {f'{self.setting} {self.sentence}' if self.setting else self.sentence}"


class SettingsError(Exception):
    """Settings that cannot be; the text is a line for each problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
