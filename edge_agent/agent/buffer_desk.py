"""The verbs ``buffer.quarantine``, ``buffer.retry``, ``buffer.drop``: what destinations refused for good."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from edge_agent.errors import LinesideError
from edge_agent.settings import Text

if TYPE_CHECKING:
    from edge_agent.buffer import Aside, Refused
    from edge_agent.console import Handler

_LONGEST = 500


class BufferRefused(LinesideError):
    """A request that names nothing that is set aside; nothing has changed."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(Text(en, zh))


class Kept(Protocol):
    """A store, as far as this desk is concerned."""

    aside: Aside

    @property
    def stream(self) -> str: ...


Record = Callable[[str, str, Mapping[str, Any]], None]


def buffer_handlers(stores: Callable[[], Sequence[Kept]], record: Record) -> dict[str, Handler]:
    """``record(kind, source, detail)`` writes the event that says who gave what up, or had it sent again.

    ``buffer.quarantine``: ``uplink`` (default: all) -> rows, oldest refusal first. ``buffer.retry`` and
    ``buffer.drop``: ``uplink``, and ``keys`` (``STREAM/EPOCH/SEQ``) or ``all``: true; ``drop`` needs a
    ``comment``. They answer with the rows they concerned, once that is on disk."""
    desk = _Desk(stores, record)
    return {"buffer.quarantine": desk.list, "buffer.retry": desk.retry, "buffer.drop": desk.drop}


class _Desk:
    def __init__(self, stores: Callable[[], Sequence[Kept]], record: Record) -> None:
        self._stores = stores
        self._record = record

    async def list(self, user: str, args: Mapping[str, Any]) -> Any:
        uplink = args.get("uplink")
        return [_row(unit) for store in self._stores() for unit in await store.aside.units(uplink)]

    async def retry(self, user: str, args: Mapping[str, Any]) -> Any:
        return await self._settle("quarantine_retried", user, args)

    async def drop(self, user: str, args: Mapping[str, Any]) -> Any:
        if not str(args.get("comment") or "").strip():
            raise BufferRefused(
                "say why with --reason: data that is given up is written into the ledger",
                "请用 --reason 说明原因：放弃的数据会记入台账",
            )
        return await self._settle("quarantine_dropped", user, args)

    async def _settle(self, kind: str, user: str, args: Mapping[str, Any]) -> Any:
        uplink, keys = _chosen(args)
        done: list[Refused] = []
        for store in self._stores():
            seqs = None if keys is None else [seq for stream, seq in keys if stream == store.stream]
            if seqs is None or seqs:
                settle = store.aside.retry if kind == "quarantine_retried" else store.aside.drop
                done += await settle(uplink, seqs)
        if not done:
            raise BufferRefused(
                f"nothing of that is set aside for {uplink}; see `edge-agent buffer quarantine list`",
                f"{uplink} 没有这些被隔离的数据；请查看 edge-agent buffer quarantine list",
            )
        self._record(
            kind,
            uplink,
            {
                "user": user,
                "comment": str(args.get("comment") or "").strip()[:_LONGEST],
                "units": len(done),
                "samples": sum(unit.samples for unit in done),
                "keys": [str(unit.key) for unit in done[:100]],
            },
        )
        return [_row(unit) for unit in done]


def _chosen(args: Mapping[str, Any]) -> tuple[str, Sequence[tuple[str, int]] | None]:
    uplink, keys = args.get("uplink"), args.get("keys")
    if not isinstance(uplink, str) or not uplink:
        raise BufferRefused("which uplink?", "请指明上行通道")
    if args.get("all") is True:
        return uplink, None
    if not isinstance(keys, list) or not keys:
        raise BufferRefused("name the keys, or say --all", "请列出编号，或使用 --all")
    found = []
    for key in keys:
        stream, _, rest = str(key).partition("/")
        _, _, seq = rest.partition("/")
        if not seq.isdecimal():
            raise BufferRefused(
                f"{key!r} is no key: it is written STREAM/EPOCH/SEQ", f"{key!r} 不是编号，应写作 流/纪元/序号"
            )
        found.append((stream, int(seq)))
    return uplink, found


def _row(unit: Refused) -> dict[str, Any]:
    return asdict(unit) | {"key": str(unit.key), "stream": unit.key.stream}
