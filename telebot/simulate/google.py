"""Google Cloud's speech services over gRPC: Speech-to-Text v2 and streaming Text-to-Speech.

gRPC has a port of its own: `server.py` calls `serve`, and GOOGLE_BASE_URL is that port's address.
Messages are those of Google's packages:
https://docs.cloud.google.com/speech-to-text/docs/reference/rpc/google.cloud.speech.v2,
https://docs.cloud.google.com/text-to-speech/docs/reference/rpc/google.cloud.texttospeech.v1. What
each does is in `google_hears.py` and `google_speaks.py`, how it refuses in `google_refuses.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from telebot.simulate.faults import Dropped, Exchange, Garbage, Refused
from telebot.simulate.server import Routes, Simulator

NOTICED_S = 5.0  # for the server to notice that a connection was cut

Stop = Callable[[], Awaitable[None]]
Session = Callable[[Any, Exchange], AsyncIterator[Any]]


def routes(_sim: Simulator) -> Routes:
    """Nothing over HTTP/1."""
    return []


async def serve(sim: Simulator, host: str) -> tuple[int, Stop]:
    """Serve on a free port of `host`: the port, and what ends it."""
    import grpc  # type: ignore[import-untyped]

    from telebot.simulate.cut_wire import CutWire

    server = grpc.aio.server()
    inner = server.add_insecure_port(f"{host}:0")
    wire = CutWire(host, inner)
    server.add_generic_rpc_handlers(_handlers(_Google(sim, wire)))
    await server.start()
    port = await wire.open()

    async def stop() -> None:
        wire.close()
        await server.stop(None)

    return port, stop


def _handlers(google: _Google) -> tuple[Any, ...]:
    """The methods of both services, with their messages."""
    import grpc
    from google.cloud.speech_v2.types import cloud_speech as stt
    from google.cloud.texttospeech_v1.types import cloud_tts as tts

    from telebot.simulate.google_hears import Hears
    from telebot.simulate.google_speaks import Speaks

    hears, speaks = Hears(google.sim.speech), Speaks(google.sim.speech)

    def streamed(kind: str, request: Any, session: Session) -> Any:
        return grpc.stream_stream_rpc_method_handler(
            google.streamed(kind, session), request.deserialize, _bytes
        )

    def unary(request: Any, method: Callable[[Any], Awaitable[Any]]) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            google.unary(method), request.deserialize, _bytes
        )

    speech = {
        "StreamingRecognize": streamed("stt", stt.StreamingRecognizeRequest, hears.session),
        "Recognize": grpc.unary_unary_rpc_method_handler(
            google.whole("stt", hears.recognize), stt.RecognizeRequest.deserialize, _bytes
        ),
    }
    voices = {
        "StreamingSynthesize": streamed("tts", tts.StreamingSynthesizeRequest, speaks.session),
        "ListVoices": unary(tts.ListVoicesRequest, speaks.voices),
    }
    handler = grpc.method_handlers_generic_handler
    return (
        handler("google.cloud.speech.v2.Speech", speech),
        handler("google.cloud.texttospeech.v1.TextToSpeech", voices),
    )


def _bytes(message: Any) -> bytes:
    """A message on the wire; bytes are garbage, sent as they are."""
    return message if isinstance(message, bytes) else type(message).serialize(message)


class _Google:
    """What all methods have in common: the key, the faults, the refusals."""

    def __init__(self, sim: Simulator, wire: Any) -> None:
        self.sim = sim
        self._wire = wire

    def streamed(self, kind: str, session: Session) -> Callable[[Any, Any], AsyncIterator[Any]]:
        """A method that answers a stream with a stream."""
        from telebot.simulate.google_refuses import Unfit, on_command, refuse

        async def method(requests: Any, context: Any) -> AsyncIterator[Any]:
            exchange = self.sim.exchange("google", kind)
            try:
                await exchange.reach("connect")
                self._check_key(context)
                async for response in session(requests, exchange):
                    yield response
            except Refused as fault:
                await refuse(context, on_command(fault.status))
            except Unfit as fault:
                await refuse(context, fault)
            except Garbage:
                yield b"\xff\x00\xff not a message"
            except Dropped:
                await self._cut(context)

        return method

    def whole(
        self, kind: str, work: Callable[[Any, Exchange], Awaitable[Any]]
    ) -> Callable[[Any, Any], Any]:
        """A method that answers one message with one, and can fail on command."""

        async def session(request: Any, exchange: Exchange) -> AsyncIterator[Any]:
            yield await work(request, exchange)

        stream = self.streamed(kind, session)

        async def method(request: Any, context: Any) -> Any:
            async for response in stream(request, context):
                return response

        return method

    def unary(self, answer: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Any], Any]:
        """A method that answers one message with one."""
        from telebot.simulate.google_refuses import Unfit, refuse

        async def method(request: Any, context: Any) -> Any:
            try:
                self._check_key(context)
                return await answer(request)
            except Unfit as fault:
                await refuse(context, fault)

        return method

    def _check_key(self, context: Any) -> None:
        """Raises Unfit."""
        from telebot.simulate.google_refuses import BAD_KEY, BAD_TOKEN, NOBODY

        sent = dict(context.invocation_metadata() or ())
        if "x-goog-api-key" in sent:
            if not self.sim.good(sent["x-goog-api-key"]):
                raise BAD_KEY
        elif "authorization" not in sent:
            raise NOBODY
        elif not self.sim.good(sent["authorization"].removeprefix("Bearer ")):
            raise BAD_TOKEN

    async def _cut(self, context: Any) -> None:
        """``ipv4:127.0.0.1:PORT`` is where the request seems to come from. No status is to overtake
        the cut, so nothing is answered until its end was noticed, which cancels this."""
        await self._wire.cut(int(context.peer().rpartition(":")[2]))
        await asyncio.sleep(NOTICED_S)
