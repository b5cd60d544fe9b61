"""A bounded number of connections is served; one that ends makes room for another."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from ballast.agent.serving.listener import Listener, listen
from ballast.errors import UserError


@asynccontextmanager
async def served(most: int = 100, most_of_address: int = 100) -> AsyncIterator[int]:
    """A server that says hello and waits; its port."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"hello\n")
            await reader.read()
        finally:
            writer.close()

    listener = Listener("127.0.0.1", 0, most, most_of_address)
    server = await asyncio.start_server(greet, sock=listener)
    try:
        yield listener.getsockname()[1]
    finally:
        server.close()
        async with asyncio.timeout(10):
            for _ in range(1000):
                if not listener.connections:
                    break
                await asyncio.sleep(0.01)


async def greeted(port: int, own: str = "127.0.0.1") -> asyncio.StreamWriter | None:
    """Open a connection; None if it is closed at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(own, 0))
    try:
        if await reader.readline():
            return writer
    except ConnectionResetError:
        pass
    await end(writer)
    return None


async def end(writer: asyncio.StreamWriter) -> None:
    """Hang up."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def let_in(port: int) -> asyncio.StreamWriter:
    """Open a connection as soon as there is room."""
    async with asyncio.timeout(10):
        while True:
            writer = await greeted(port)
            if writer is not None:
                return writer
            await asyncio.sleep(0.01)


async def test_what_is_too_many_is_refused_and_the_others_stay() -> None:
    async with served(most=2) as port:
        first, second = await greeted(port), await greeted(port)
        assert first is not None
        assert second is not None
        assert await greeted(port) is None
        assert await greeted(port, "127.0.0.2") is None
        await end(first)
        third = await let_in(port)
        assert await greeted(port) is None
        await end(second)
        await end(third)


async def test_one_address_does_not_take_what_is_for_others() -> None:
    async with served(most_of_address=1) as port:
        first = await greeted(port)
        assert first is not None
        assert await greeted(port) is None
        other = await greeted(port, "127.0.0.2")
        assert other is not None
        await end(first)
        await end(other)


async def test_many_that_come_and_go_leave_nothing_behind() -> None:
    async with served(most=1) as port:
        for _ in range(20):
            await end(await let_in(port))


def test_an_address_that_is_taken_is_told_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1:{port}: .*; set another"):
            listen("127.0.0.1", port, "set another")
