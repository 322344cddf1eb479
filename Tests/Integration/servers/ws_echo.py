"""A WebSocket server that sends every message back, by the `websockets` package.

usage: ws_echo.py PORT
"""

import asyncio
import sys

from websockets.asyncio.server import serve


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def main(port: int) -> None:
    async with serve(echo, "127.0.0.1", port, max_size=4 << 20):
        await asyncio.get_running_loop().create_future()


asyncio.run(main(int(sys.argv[1])))
