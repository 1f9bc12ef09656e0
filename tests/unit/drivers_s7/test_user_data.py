"""What a controller tells of itself: put together of pieces, and no answer of it does harm."""

from __future__ import annotations

import random

import pytest

from drivers.s7 import user_data
from edge_agent.errors import BadReply, DriverError, Refused
from hardware_mocks.s7told import Told

LENGTHS = {number: 3 * number for number in range(1, 400)}


def controller(told: Told) -> user_data.Ask:
    async def ask(pdu: bytes) -> bytes:
        size = int.from_bytes(pdu[6:8])
        reply = told.answer(7, pdu[10 : 10 + size], pdu[10 + size :], LENGTHS)
        assert reply is not None
        return reply

    return ask


@pytest.mark.parametrize("piece", [28, 64, 200, 4000])
async def test_an_answer_in_pieces_is_one_answer(piece: int) -> None:
    told = Told()
    told.piece = piece
    assert await user_data.data_blocks(controller(told)) == sorted(LENGTHS)
    assert await user_data.block_length(controller(told), 123) == 369
    assert (await user_data.identify(controller(told))).module == "CPU 315-2 PN/DP"


async def test_what_is_not_told_is_refused_or_empty() -> None:
    told = Told()
    told.blocks = told.identifies = False
    assert await user_data.identify(controller(told)) == user_data.Cpu()
    with pytest.raises(Refused):
        await user_data.data_blocks(controller(told))
    told.blocks = True
    with pytest.raises(Refused):
        await user_data.block_length(controller(told), 999)


async def test_an_answer_that_never_ends_is_given_up() -> None:
    told = Told()
    told.piece = 1
    with pytest.raises(BadReply, match="pieces"):
        await user_data.data_blocks(controller(told))


async def test_damaged_answers_raise_only_what_a_driver_may() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # shown if it fails
    chance = random.Random(seed)
    told = Told()
    sound = controller(told)

    async def ask(pdu: bytes) -> bytes:
        try:
            reply = bytearray(await sound(pdu))
        except AssertionError:  # a damaged sequence number asked the controller for what it does not know
            return b""
        for _ in range(chance.randrange(1, 4)):
            reply[chance.randrange(len(reply))] = chance.randrange(256)
        return bytes(reply[: chance.randrange(len(reply) + 1)] if chance.random() < 0.3 else reply)

    questions = (user_data.identify, user_data.data_blocks, lambda a: user_data.block_length(a, 5))
    for number in range(3000):
        try:
            await questions[number % 3](ask)
        except DriverError:
            pass
