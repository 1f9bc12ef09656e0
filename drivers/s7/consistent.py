"""The setting ``consistent``: which tags must be read in one request."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.model import Tag


def members(names: Sequence[str], tags: Sequence[Tag]) -> list[int]:
    """Positions of the tags that the names stand for, ascending; an array's name stands for its elements."""
    wanted = set(names)
    return [at for at, tag in enumerate(tags) if tag.name in wanted or tag.name.partition("[")[0] in wanted]


def sets_of(consistent: Sequence[Sequence[str]], tags: Sequence[Tag]) -> list[list[int]]:
    """Disjoint positions: sets that share a tag are one set. Sets of fewer than two tags bind nothing."""
    found: list[set[int]] = []
    for names in consistent:
        new = set(members(names, tags))
        apart = [other for other in found if not other & new]
        for other in found:
            if other & new:
                new |= other
        found = [*apart, new]
    return [sorted(positions) for positions in found if len(positions) > 1]
