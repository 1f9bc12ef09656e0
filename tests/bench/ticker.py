"""A bare ticker: how late this machine wakes an asyncio process that does nothing else.

Ten timers at one second, as many as the bench has devices. Ends on SIGTERM and prints the p99 in ms.
"""

import asyncio
import json
import signal
import time


async def tick(phase_s: float, late: list[float]) -> None:
    due = time.monotonic() + phase_s
    while True:
        due += 1.0
        await asyncio.sleep(due - time.monotonic())
        late.append(time.monotonic() - due)


async def main() -> None:
    late: list[float] = []
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    tasks = [asyncio.create_task(tick(i / 10, late)) for i in range(10)]
    print("{}", flush=True)
    await stop.wait()
    for task in tasks:
        task.cancel()
    print(json.dumps(late), flush=True)


asyncio.run(main())
