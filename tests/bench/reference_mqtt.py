"""The reference of the MQTT pair: `reference.py` with one QoS 1 publication per device and poll.

The same reads, the same JSON; aiomqtt as its documentation shows it, waiting for each PUBACK. No check, no
disk, no metrics, no recovery. It is not tuned.
"""

import asyncio
import json
import sys

import aiomqtt

from tests.bench.reference import device


async def main(spec):
    async with aiomqtt.Client(spec["broker_host"], port=spec["broker_port"]) as client:

        async def post(message):
            await client.publish("lineside/bench", json.dumps(message).encode(), qos=1)

        async with asyncio.TaskGroup() as group:
            for d in spec["devices"]:
                group.create_task(
                    device(
                        d["name"], d["host"], d["port"], d["unit"], spec["registers"], spec["period_s"], post
                    )
                )


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
