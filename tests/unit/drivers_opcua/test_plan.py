"""Chunks and namespaces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.opcua import PLUGIN
from drivers.opcua.address import NodeAddress
from drivers.opcua.plan import Limits
from drivers.opcua.settings import OpcuaSettings
from edge_agent.model import Quality, Tag, ValueType

SPACES = ("http://opcfoundation.org/UA/", "urn:server", "urn:press")
maybe = st.one_of(st.none(), st.integers(1, 700))


@given(
    present=st.lists(st.booleans(), max_size=1200),
    cap=maybe,
    limit=maybe,
    learned=maybe,
    connected=st.booleans(),
)
def test_no_call_has_too_many_nodes_and_every_tag_is_in_one_request(
    present: list[bool], cap: int | None, limit: int | None, learned: int | None, connected: bool
) -> None:
    tags = [
        Tag(f"t{n}", f"nsu={'urn:press' if known else 'urn:gone'};i={n}", ValueType.INT16)
        for n, known in enumerate(present)
    ]
    settings = OpcuaSettings(link="opc.tcp://plc", max_nodes_per_read=cap)
    limits = Limits(SPACES, limit) if connected else None
    plan = PLUGIN.plan(settings, tags, limits, learned)
    most = min(n for n in (500, cap, limit if connected else None, learned) if n)
    asked = 0
    for request in plan.requests:
        assert len(request.body.nodes) <= most
        asked += len(request.body.nodes)
        if connected:
            assert request.body.nodes == () or request.body.nodes == tuple(
                NodeAddress("i", tag, 2) for tag in request.tags
            )
    assert asked == (sum(present) if connected else len(present))
    assert sorted(tag for request in plan.requests for tag in request.tags) == list(range(len(tags)))
    assert len(plan.requests) == -(-asked // most) + (connected and not all(present))


def test_a_tag_in_an_unknown_namespace_is_bad_alone() -> None:
    tags = [Tag("here", "i=2258", ValueType.INT16), Tag("gone", "nsu=urn:gone;i=1", ValueType.INT16)]
    plan = PLUGIN.plan(OpcuaSettings(link="opc.tcp://plc"), tags, Limits(SPACES), None)
    columns = plan.decode([Quality.WAITING, ()])
    assert columns.quality == bytes((Quality.WAITING, Quality.BAD_ADDRESS))
    assert plan.decode([Quality.WAITING, Quality.BAD_COMM]).quality[1] == Quality.BAD_COMM
