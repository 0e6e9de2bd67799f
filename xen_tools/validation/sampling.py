"""How many instances of each class are asked for one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """All, or as many as ``most``: spread over what there is, the first and the last always among them."""

    most: int | None = None

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """Return some of the items, in their order."""
        if self.most is None or len(items) <= self.most:
            return items
        if self.most == 1:
            return items[:1]
        return [items[number * (len(items) - 1) // (self.most - 1)] for number in range(self.most)]
