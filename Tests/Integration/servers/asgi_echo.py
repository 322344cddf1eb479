"""A bare ASGI application for uvicorn: echoes, fails, or holds its answer, and notes clients that leave.

usage: uvicorn asgi_echo:app, in this folder
"""

import asyncio
import os
import pathlib


async def body_of(receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return body
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = await body_of(receive)
    path = scope["path"]
    if path == "/hold":
        # Until the client leaves, or long enough for anybody.
        while True:
            message = await asyncio.wait_for(receive(), 30)
            if message["type"] == "http.disconnect":
                pathlib.Path(os.environ["LEFT"]).touch()
                return
    if path == "/raise":
        raise RuntimeError("as asked")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body or b"ok"})
