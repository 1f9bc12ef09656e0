"""Controllers for the S7 and OPC UA sections of `make bench`, by the libraries' own servers: ``python -m
tests.bench.servers s7|opcua DEVICES TAGS``. The first line of standard output is ``{"ports": [...]}``."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
import struct
import sys
from typing import Any

from asyncua import ua
from asyncua.server.server import Server
from snap7.server import Server as S7Server
from snap7.type import SrvArea

CHANGING = 0.6  # this share of the values is new every second; the rest is constant


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def numbers(tags: int) -> list[float]:
    return [random.uniform(0.0, 100.0) for _ in range(tags)]


async def serve_s7(devices: int, tags: int, stop: asyncio.Event) -> None:
    """DB1 holds ``tags`` REAL values."""
    images = []
    servers = []
    ports = []
    for _ in range(devices):
        image, server, port = bytearray(struct.pack(f">{tags}f", *numbers(tags))), S7Server(), free_port()
        server.register_area(SrvArea.DB, 1, image)
        server.start_to("127.0.0.1", port)
        images.append(image)
        servers.append(server)
        ports.append(port)
    print(json.dumps({"ports": ports}), flush=True)
    moving = int(tags * CHANGING)
    try:
        while not stop.is_set():
            for image in images:
                struct.pack_into(f">{moving}f", image, 0, *numbers(moving))
            await pause(stop)
    finally:
        for server in servers:
            server.stop()


async def serve_opcua(devices: int, tags: int, stop: asyncio.Event) -> None:
    """``ns=2;s=r0`` and so on, Double."""
    servers = [await opcua_server(tags) for _ in range(devices)]
    print(json.dumps({"ports": [port for port, _, _ in servers]}), flush=True)
    moving = int(tags * CHANGING)
    try:
        while not stop.is_set():
            for _, server, nodes in servers:
                for node, value in zip(nodes[:moving], numbers(moving), strict=True):
                    await server.write_attribute_value(node.nodeid, ua.DataValue(ua.Variant(value)))
            await pause(stop)
    finally:
        for _, server, _ in servers:
            await server.stop()


async def opcua_server(tags: int) -> tuple[int, Any, list[Any]]:
    server, port = Server(), free_port()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace("urn:bench")
    folder = await server.nodes.objects.add_folder(index, "bench")
    nodes = [
        await folder.add_variable(ua.NodeId(ua.String(f"r{n}"), ua.Int16(index)), f"r{n}", value)
        for n, value in enumerate(numbers(tags))
    ]
    await server.start()
    return port, server, nodes


async def pause(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(1.0):
            await stop.wait()
    except TimeoutError:
        pass


async def main(protocol: str, devices: int, tags: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await (serve_s7 if protocol == "s7" else serve_opcua)(devices, tags, stop)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
