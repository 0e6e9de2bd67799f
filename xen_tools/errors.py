"""What a command says when it cannot do its work."""

from __future__ import annotations


class CommandError(Exception):
    """One sentence for the user, and the exit code: 1 for what went wrong, 2 for wrong usage."""

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code
