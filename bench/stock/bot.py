"""A stock Pipecat telephony bot: FastAPI, uvicorn, Twilio's serializer, the aggregators' own VAD.

Built from the parts a Pipecat user finds in its documentation, with their defaults, and with the
scripted speech and language services of agent `bench` in place of vendors. Two things are kinder
than the defaults: 8 kHz both ways (16 in and 24 out resample on the loop, and interrupting takes
half a second), and uvloop. Run as `python -m bench.stock.bot --port N`; `servers.py` does.
"""

from __future__ import annotations

import argparse
import wave
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket
from loguru import logger
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.audio.audio_buffer_processor import AudioBufferProcessor
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)
from pipecat.turns.user_stop import (
    BaseUserTurnStopStrategy,
    SpeechTimeoutUserTurnStopStrategy,
    TurnAnalyzerUserTurnStopStrategy,
)
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from bench import voices
from telebot.providers.scripted import (
    ScriptedLLMService,
    ScriptedSTTService,
    ScriptedTTSService,
)

GREET = "Start by concisely introducing yourself."
SPEECH_S = 3.0
PIECE_BYTES = 320  # 20 ms


def bot_speech() -> tuple[bytes, ...]:
    """Three seconds of speech, 8 kHz int16 mono, in pieces of 20 ms."""
    said = np.concatenate([sound for _, sound in voices.in_pitches(voices.SENTENCES[:3], (1.0,))])
    pcm = (said[: int(SPEECH_S * 8000)] * 32767).astype("<i2").tobytes()
    return tuple(pcm[i : i + PIECE_BYTES] for i in range(0, len(pcm), PIECE_BYTES))


class StockSTTService(ScriptedSTTService):
    """The aggregators' VAD sits behind the recogniser, so its audio has to pass through."""

    def __init__(self) -> None:
        super().__init__()
        self._audio_passthrough = True


class StockBot:
    """What every call is built from. `recordings` is a folder, or None for no recording."""

    def __init__(self, turn_model: bool, recordings: Path | None, chunks_10ms: int) -> None:
        self._turn_model, self._recordings = turn_model, recordings
        self._chunks_10ms = chunks_10ms
        speech: Any = voices.cached("stock", bot_speech, __file__)
        self._speech: tuple[bytes, ...] = speech

    async def call(self, websocket: WebSocket) -> None:
        """One call, from the WebSocket's first message to its end."""
        await websocket.accept()
        _, start = await parse_telephony_websocket(websocket)
        transport = self._transport(websocket, start)
        worker, recorder = self._worker(transport)

        @transport.event_handler("on_client_connected")  # type: ignore[untyped-decorator]
        async def _connected(_transport: Any, _client: Any) -> None:
            if recorder is not None:
                await recorder.start_recording()  # type: ignore[no-untyped-call]
            await worker.queue_frames([LLMRunFrame()])

        @transport.event_handler("on_client_disconnected")  # type: ignore[untyped-decorator]
        async def _disconnected(_transport: Any, _client: Any) -> None:
            await worker.cancel()

        if recorder is not None and self._recordings is not None:
            _keep(recorder, self._recordings / f"{start['call_id']}.wav")
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()

    def _transport(self, websocket: WebSocket, start: dict[str, Any]) -> FastAPIWebsocketTransport:
        serializer = TwilioFrameSerializer(
            stream_sid=start["stream_id"],
            call_sid=start["call_id"],
            params=TwilioFrameSerializer.InputParams(auto_hang_up=False),
        )
        params = FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_out_10ms_chunks=self._chunks_10ms,
            serializer=serializer,
        )
        return FastAPIWebsocketTransport(websocket=websocket, params=params)

    def _worker(
        self, transport: FastAPIWebsocketTransport
    ) -> tuple[PipelineWorker, AudioBufferProcessor | None]:
        context = LLMContext([{"role": "developer", "content": GREET}])
        stop: BaseUserTurnStopStrategy = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.0)
        if self._turn_model:
            stop = TurnAnalyzerUserTurnStopStrategy(turn_analyzer=LocalSmartTurnAnalyzerV3())
        user, assistant = LLMContextAggregatorPair(
            context,
            user_params=LLMUserAggregatorParams(
                vad_analyzer=SileroVADAnalyzer(),
                user_turn_strategies=UserTurnStrategies(stop=[stop]),
            ),
        )
        recorder = AudioBufferProcessor(num_channels=2) if self._recordings is not None else None
        steps = [
            transport.input(),
            StockSTTService(),
            user,
            ScriptedLLMService(),
            ScriptedTTSService(self._speech),
            transport.output(),
            *([recorder] if recorder is not None else []),
            assistant,
        ]
        params = PipelineParams(
            audio_in_sample_rate=8000,
            audio_out_sample_rate=8000,
            enable_metrics=True,
            enable_usage_metrics=True,
        )
        return PipelineWorker(Pipeline(steps), params=params), recorder


def _keep(recorder: AudioBufferProcessor, path: Path) -> None:
    @recorder.event_handler("on_audio_data")  # type: ignore[untyped-decorator]
    async def _audio(_recorder: Any, audio: bytes, rate_hz: int, channels: int) -> None:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(2)
            file.setframerate(rate_hz)
            file.writeframes(audio)


def build(bot: StockBot) -> FastAPI:
    """The two routes Twilio needs."""
    app = FastAPI()

    @app.post("/twilio/voice")
    async def voice(request: Request) -> Response:
        url = f"wss://{request.headers['host']}/ws"
        twiml = f'<Response><Connect><Stream url="{url}"/></Connect></Response>'
        return Response(twiml, media_type="application/xml")

    @app.websocket("/ws")
    async def media(websocket: WebSocket) -> None:
        await bot.call(websocket)

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--turn-model", action="store_true")
    parser.add_argument("--record", type=Path, help="folder for recordings")
    parser.add_argument("--piece-ms", type=int, default=40, help="Pipecat's default is 40")
    args = parser.parse_args()
    logger.remove()
    bot = StockBot(args.turn_model, args.record, args.piece_ms // 10)
    uvicorn.run(build(bot), host="127.0.0.1", port=args.port, loop="uvloop", log_level="warning")


if __name__ == "__main__":
    main()
