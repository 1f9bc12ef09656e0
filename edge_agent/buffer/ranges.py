"""A set of sequence numbers as a few ranges: compact as long as most of it is contiguous."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

Range = tuple[int, int]
"""First and last, both inclusive."""


class Ranges:
    """Sorted, disjoint, never adjacent. Adding in order costs one bisect."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[Sequence[int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def __iter__(self) -> Iterator[Range]:
        return zip(self._firsts, self._lasts, strict=True)

    def __len__(self) -> int:
        """How many ranges, not how many numbers."""
        return len(self._firsts)

    def __contains__(self, number: int) -> bool:
        index = bisect_right(self._firsts, number) - 1
        return index >= 0 and number <= self._lasts[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def last(self) -> int:
        return self._lasts[-1] if self._lasts else 0

    def size(self) -> int:
        return sum(last - first + 1 for first, last in self)

    def copy(self) -> Ranges:
        twin = Ranges()
        twin._firsts, twin._lasts = self._firsts.copy(), self._lasts.copy()
        return twin

    def add(self, first: int, last: int | None = None) -> None:
        last = first if last is None else last
        if last < first:
            return
        low = bisect_right(self._firsts, first) - 1
        if low < 0 or self._lasts[low] < first - 1:
            low += 1
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def remove(self, number: int) -> None:
        index = bisect_right(self._firsts, number) - 1
        if index < 0 or number > self._lasts[index]:
            return
        first, last = self._firsts[index], self._lasts[index]
        left = [(first, number - 1)] if first < number else []
        right = [(number + 1, last)] if number < last else []
        self._firsts[index : index + 1] = [f for f, _ in (*left, *right)]
        self._lasts[index : index + 1] = [t for _, t in (*left, *right)]

    def gaps(self, first: int, last: int) -> Iterator[Range]:
        """What of first..last is not in the set, in order. Lazy: the backlog needs only the oldest."""
        index = max(bisect_right(self._firsts, first) - 1, 0)
        while index < len(self._firsts) and first <= last:
            if self._firsts[index] > first:
                yield first, min(self._firsts[index] - 1, last)
            first = max(first, self._lasts[index] + 1)
            index += 1
        if first <= last:
            yield first, last

    def within(self, first: int, last: int) -> Iterator[Range]:
        """What of first..last is in the set, in order."""
        for low, high in self:
            if high >= first and low <= last:
                yield max(low, first), min(high, last)
