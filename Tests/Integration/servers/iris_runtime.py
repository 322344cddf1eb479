"""An MLServer runtime: scikit-learn as MLServer ships it, which turns slow while a file exists.

The path of that file is the environment variable IRIS_SLOW_FILE; without it the runtime is MLServer's own.
Head and body of an answer leave in one write, so that a server that is killed leaves no half answers: once
the client has a head, nobody can repeat the request.
"""

import asyncio
import os

from mlserver.types import InferenceRequest, InferenceResponse
from mlserver_sklearn import SKLearnModel
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Held:
    """A transport that keeps what is written until `flush`."""

    def __init__(self, transport):
        self.transport, self.pieces, self.is_closed = transport, [], False

    def write(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def close(self) -> None:
        self.is_closed = True

    def flush(self) -> None:
        self.transport.write(b"".join(self.pieces))
        if self.is_closed:
            self.transport.close()


def in_one_write(send):
    """uvicorn's `send` of answers, which keeps a head until the body begins."""

    async def held(cycle, message) -> None:
        if message["type"] == "http.response.start":
            cycle.held_head = message
            return
        head = cycle.__dict__.pop("held_head", None)
        if head is None:
            await send(cycle, message)
            return
        transport = cycle.transport
        cycle.transport = Held(transport)
        try:
            await send(cycle, head)
            await send(cycle, message)
            cycle.transport.flush()
        finally:
            cycle.transport = transport

    return held


RequestResponseCycle.send = in_one_write(RequestResponseCycle.send)


class Iris(SKLearnModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        switch = os.environ.get("IRIS_SLOW_FILE")
        if switch and os.path.exists(switch):
            await asyncio.sleep(0.25)
        return await super().predict(payload)
