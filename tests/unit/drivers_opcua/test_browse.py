"""Browsing a server: what can be read below a node, as tags that read it."""

from __future__ import annotations

import pytest
from asyncua import ua

from drivers.opcua import PLUGIN
from edge_agent.driver import Browser
from edge_agent.errors import Refused
from edge_agent.model import Quality, ValueType

from .server import URI, UaServer, connected, read, settings_for

T = ua.VariantType


async def _build(server: UaServer) -> None:
    index, objects = server.index, server._server.nodes.objects
    plant = await objects.add_folder(ua.NodeId("Plant", index), ua.QualifiedName("Plant", index))
    oven = await plant.add_object(ua.NodeId("Oven", index), ua.QualifiedName("Oven 1", index))
    heat = await oven.add_variable(
        ua.NodeId("Oven.T", index), ua.QualifiedName("Temperature", index), ua.Variant(21.5, T.Float)
    )
    await heat.write_attribute(
        ua.AttributeIds.Description, ua.DataValue(ua.Variant(ua.LocalizedText("zone 1"), T.LocalizedText))
    )
    unit = ua.EUInformation(DisplayName=ua.LocalizedText("°C"), UnitId=4408652)
    await heat.add_property(
        ua.NodeId("Oven.T.EU", index), ua.QualifiedName("EngineeringUnits", 0), unit, datatype=None
    )
    await oven.add_variable(
        ua.NodeId(77, index), ua.QualifiedName("Zones", index), ua.Variant([1, 2, 3], T.Int16)
    )
    await oven.add_variable(ua.NodeId("S", index), ua.QualifiedName("Recipe", index), "R1")
    hidden = await oven.add_variable(
        ua.NodeId("Hidden", index), ua.QualifiedName("Hidden", index), ua.Variant(1, T.Int16)
    )
    await hidden.unset_attr_bit(ua.AttributeIds.UserAccessLevel, ua.AccessLevel.CurrentRead)
    await plant.add_reference(oven.nodeid, ua.ObjectIds.Organizes)  # the same node on a second way


@pytest.fixture
def plant(server: UaServer) -> UaServer:
    try:
        server.call(server._server.get_node(ua.NodeId("Plant", server.index)).read_browse_name())
    except ua.UaStatusCodeError:
        server.call(_build(server))
    return server


async def test_variables_are_listed_with_type_unit_and_description(plant: UaServer) -> None:
    settings = settings_for(plant.port)
    async with connected(settings) as (link, limits):
        assert isinstance(link, Browser)
        tags = await link.browse(settings, f"nsu={URI};s=Plant")
        assert {tag.name: (tag.address, tag.type, tag.unit, tag.description) for tag in tags} == {
            "oven_1_temperature": (f"nsu={URI};s=Oven.T", ValueType.FLOAT32, "°C", "zone 1"),
            "oven_1_zones[0]": (f"element=0;nsu={URI};i=77", ValueType.INT16, "", ""),
            "oven_1_zones[1]": (f"element=1;nsu={URI};i=77", ValueType.INT16, "", ""),
            "oven_1_zones[2]": (f"element=2;nsu={URI};i=77", ValueType.INT16, "", ""),
            "oven_1_recipe": (f"nsu={URI};s=S", ValueType.STRING, "", ""),
        }
        assert PLUGIN.check(settings, tags) == []
        columns = await read(link, settings, list(tags), limits)
        assert set(columns.quality) == {Quality.GOOD}


async def test_from_the_root_the_servers_own_affairs_are_left_out(plant: UaServer) -> None:
    settings = settings_for(plant.port)
    async with connected(settings) as (link, _):
        names = {tag.name for tag in await link.browse(settings, "")}
    assert "plant_oven_1_temperature" in names
    assert not any(name.startswith("server") for name in names)


async def test_a_node_that_makes_a_call_fail_hides_no_other(plant: UaServer) -> None:
    settings = settings_for(plant.port)
    async with connected(settings) as (link, _):
        expected = [
            tag for tag in await link.browse(settings, f"nsu={URI};s=Plant") if "zones" not in tag.name
        ]
        plant.poison.add(77)
        assert await link.browse(settings, f"nsu={URI};s=Plant") == expected


async def test_a_server_that_takes_few_nodes_per_call_is_browsed_all_the_same(plant: UaServer) -> None:
    settings = settings_for(plant.port)
    async with connected(settings) as (link, _):
        expected = await link.browse(settings, f"nsu={URI};s=Plant")
        plant.refuse_above = 1
        assert await link.browse(settings, f"nsu={URI};s=Plant") == expected


async def test_a_start_that_is_none_is_refused(plant: UaServer) -> None:
    settings = settings_for(plant.port)
    async with connected(settings) as (link, _):
        for start in ("Plant", "nsu=urn:none;s=x"):
            with pytest.raises(Refused):
                await link.browse(settings, start)
        assert await link.browse(settings, f"nsu={URI};s=no such node") == []
