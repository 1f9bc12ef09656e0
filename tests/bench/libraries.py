"""The references of the S7 and OPC UA sections: the same reads by the plain library clients, one JSON message
per device and poll to the same receiver. No check, no disk, no metrics, no recovery; not tuned.
"""

import asyncio
import json
import struct
import sys
import time
import urllib.parse

import snap7
from asyncua.client.client import Client

from tests.bench.reference import http_post


async def poll(name, read, period_s, post):
    due = time.monotonic()
    while True:
        values = await read()
        await post({"device": name, "time": time.time_ns(), "values": values})
        due += period_s
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def s7(port, tags):
    client = snap7.Client()
    await asyncio.to_thread(client.connect, "127.0.0.1", 0, 1, port)

    async def read():
        return struct.unpack(f">{tags}f", await asyncio.to_thread(client.db_read, 1, 0, 4 * tags))

    return read


async def opcua(port, tags):
    client = Client(f"opc.tcp://127.0.0.1:{port}")
    await client.connect()
    nodes = [client.get_node(f"ns=2;s=r{n}") for n in range(tags)]

    async def read():
        return await client.read_values(nodes)

    return read


async def main(protocol, ports, tags, park):
    connection = await asyncio.open_connection(park.hostname, park.port)
    turn = asyncio.Lock()

    async def post(message):
        async with turn:
            await http_post(*connection, "/plain", json.dumps(message).encode())

    connect = {"s7": s7, "opcua": opcua}[protocol]
    async with asyncio.TaskGroup() as group:
        for n, port in enumerate(ports, 1):
            group.create_task(poll(f"d{n}", await connect(port, tags), 1.0, post))


if __name__ == "__main__":
    asyncio.run(
        main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), urllib.parse.urlsplit(sys.argv[4]))
    )
