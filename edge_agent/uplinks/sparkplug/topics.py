"""The topics of one edge node. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

NAMESPACE = "spBv1.0"
_NOT_IN_AN_ID = re.compile(r"[+/#\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def is_id(text: str) -> bool:
    """Whether it can be the id of a group, a node, a device or a host: one level of a topic."""
    return bool(text) and _NOT_IN_AN_ID.search(text) is None and text.strip() == text


@dataclass(frozen=True, slots=True)
class Topics:
    group: str
    node: str

    def of_node(self, kind: str) -> str:
        """``kind``: NBIRTH, NDEATH, NDATA, NCMD."""
        return f"{NAMESPACE}/{self.group}/{kind}/{self.node}"

    def of_device(self, kind: str, device: str) -> str:
        """``kind``: DBIRTH, DDEATH, DDATA, DCMD. ``device`` may be ``+`` to subscribe."""
        return f"{NAMESPACE}/{self.group}/{kind}/{self.node}/{device}"

    def commanded(self, topic: str) -> str | None:
        """The device that a command is for, "" for the node itself; None: no command for us."""
        if topic == self.of_node("NCMD"):
            return ""
        before, _, device = topic.rpartition("/")
        return device if device and before == self.of_device("DCMD", "")[:-1] else None


def state(host: str) -> str:
    """Where a host application says whether it is online."""
    return f"{NAMESPACE}/STATE/{host}"
