"""The reference of `make bench`: what a bare asyncio client costs for the same reads and the same receiver.

Persistent connections; the same blocks of registers; struct.unpack; one JSON message per device and poll over
HTTP/1.1. No check, no disk, no metrics, no recovery. Pinned: at most 80 lines, and it is not tuned.
"""

import asyncio
import json
import struct
import sys
import time


async def http_post(reader, writer, path, body):
    head = f"POST {path} HTTP/1.1\r\nHost: park\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    status = await reader.readline()
    length = 0
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    await reader.readexactly(length)
    if b" 200 " not in status:
        raise RuntimeError(status)


async def device(name, host, port, unit, registers, period_s, post):
    reader, writer = await asyncio.open_connection(host, port)
    blocks = [(start, min(125, registers - start)) for start in range(0, registers, 125)]
    transaction = 0
    due = time.monotonic()
    while True:
        values = []
        for start, count in blocks:
            transaction = (transaction + 1) & 0xFFFF
            writer.write(struct.pack(">HHHBBHH", transaction, 0, 6, unit, 3, start, count))
            await writer.drain()
            header = await reader.readexactly(9)
            values.extend(struct.unpack(f">{header[8] // 2}H", await reader.readexactly(header[8])))
        await post({"device": name, "time": time.time_ns(), "values": values})
        due += period_s
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def main(spec):
    park = await asyncio.open_connection(spec["park_host"], spec["park_port"])
    turn = asyncio.Lock()

    async def post(message):
        async with turn:
            await http_post(*park, "/plain", json.dumps(message).encode())

    async with asyncio.TaskGroup() as group:
        for d in spec["devices"]:
            group.create_task(
                device(d["name"], d["host"], d["port"], d["unit"], spec["registers"], spec["period_s"], post)
            )


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
