"""`python -m tests.vllm_stand_in SOCKET`: answers at a Unix socket like vLLM, but without any model.

Every path answers, as vLLM has many more than the studio needs. What the content of a question says decides how it is
answered; the models' names tell how many answers were given up.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

FIRST, LAST = b"data: first\n\n", b"data: [DONE]\n\n"


class StandIn:
    """What it has been asked so far."""

    def __init__(self) -> None:
        self.loaded = asyncio.Event()
        self.given_up = 0

    async def models(self, request: Request) -> Response:
        return JSONResponse({"data": [{"id": "base"}, {"id": f"given up: {self.given_up}"}]})

    async def load(self, request: Request) -> Response:
        self.loaded.set()
        return PlainTextResponse("Success: the adapter is there.")

    async def chat(self, request: Request) -> Response:
        match (await request.json())["messages"][0]["content"]:
            case "stream":
                return StreamingResponse(self._pieces(), media_type="text/event-stream")
            case "wait":
                return await self._waited(request)
            case "refuse":
                return JSONResponse({"error": {"message": "too long", "type": "BadRequestError", "code": 400}}, 400)
            case "end":
                os._exit(3)
        told = {"asked": (await request.body()).decode(), "authorization": request.headers.get("authorization")}
        return JSONResponse(told)

    async def _pieces(self) -> AsyncIterator[bytes]:
        """The last piece comes once an adapter has been asked for."""
        try:
            yield FIRST
            await self.loaded.wait()
            self.loaded.clear()
            yield LAST
        except asyncio.CancelledError:
            self.given_up += 1
            raise

    async def _waited(self, request: Request) -> Response:
        """Never an answer."""
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.given_up += 1
        return Response()


async def well(request: Request) -> Response:
    return JSONResponse({})


async def main(socket: str) -> None:
    stand_in = StandIn()
    routes = [
        Route("/v1/models", stand_in.models),
        Route("/v1/chat/completions", stand_in.chat, methods=["POST"]),
        Route("/v1/load_lora_adapter", stand_in.load, methods=["POST"]),
        Route("/{anything:path}", well, methods=["GET", "POST"]),
    ]
    await uvicorn.Server(uvicorn.Config(Starlette(routes=routes), uds=socket, log_level="warning")).serve()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
