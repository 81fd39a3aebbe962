"""Google's streaming voices (Chirp 3 HD) as a Pipecat service: mu-law at 8 kHz.

Pipecat's own asks for 16-bit audio, takes neither an address nor an API key, opens a channel for
every service and closes none, and leaves a stream running when the caller interrupts.
https://docs.cloud.google.com/text-to-speech/docs/reference/rpc/google.cloud.texttospeech.v1.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from google.cloud import texttospeech_v1
from pipecat.frames.frames import Frame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.services.google.tts import GoogleTTSService, GoogleTTSSettings

from telebot.providers.google_cloud import FAILURES, closing, error_frame, lost
from telebot.providers.streamed_audio import pcm16

VOICE = "en-US-Chirp3-HD-Charon"
MULAW_HZ = 8000


class StreamingVoice(GoogleTTSService):
    """One stream a sentence on the process's channel."""

    _settings: GoogleTTSSettings

    def __init__(
        self,
        *,
        client: Any,
        metadata: Sequence[tuple[str, str]],
        sample_rate: int = MULAW_HZ,
        settings: GoogleTTSSettings | None = None,
    ) -> None:
        self._shared = client
        self._metadata = tuple(metadata)
        super().__init__(sample_rate=sample_rate, settings=settings)
        self._rate_hz = sample_rate

    def _create_client(self, credentials: str | None, credentials_path: str | None) -> Any:
        return self._shared

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Begin to connect; the first sentence finds the channel open."""
        await super().setup(setup)
        self._shared.transport.grpc_channel.get_state(try_to_connect=True)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Audio frames as Google's pieces arrive."""
        await self.start_tts_usage_metrics(text)
        spoken, failed = False, None
        for _ in range(2):
            failed = None
            try:
                async for pcm in self._stream(text):
                    spoken = True
                    yield TTSAudioRawFrame(pcm, self._rate_hz, 1, context_id=context_id)
            except FAILURES as error:
                failed = error
            if failed is None or spoken or not lost(failed):
                break
        if failed is not None:
            yield error_frame(failed)

    async def _stream(self, text: str) -> AsyncIterator[bytes]:
        """`text` as int16. Raises one of `FAILURES`."""
        call = self._shared.streaming_synthesize(
            requests=self._requests(text), metadata=self._metadata
        )
        async with closing(call) as stream:
            async for pcm in pcm16(_audio(stream), mulaw=self._rate_hz == MULAW_HZ):
                yield pcm

    async def voices(self, language: str) -> list[str]:
        """The names of the voices of a language. Raises what Google's SDK does."""
        request = texttospeech_v1.ListVoicesRequest(language_code=language)
        answer = await self._shared.list_voices(
            request=request, metadata=self._metadata, timeout=5.0
        )
        return [str(each.name) for each in answer.voices]

    async def _requests(self, text: str) -> AsyncIterator[Any]:
        kinds = texttospeech_v1.AudioEncoding
        yield texttospeech_v1.StreamingSynthesizeRequest(
            streaming_config=texttospeech_v1.StreamingSynthesizeConfig(
                voice=texttospeech_v1.VoiceSelectionParams(
                    language_code=str(self._settings.language), name=str(self._settings.voice)
                ),
                streaming_audio_config=texttospeech_v1.StreamingAudioConfig(
                    audio_encoding=kinds.MULAW if self._rate_hz == MULAW_HZ else kinds.PCM,
                    sample_rate_hertz=self._rate_hz,
                    speaking_rate=self._settings.speaking_rate,
                ),
            )
        )
        yield texttospeech_v1.StreamingSynthesizeRequest(
            input=texttospeech_v1.StreamingSynthesisInput(text=text)
        )


async def _audio(stream: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    """The pieces without a WAV header: the reference says of MULAW that it has one, and means
    audio that comes in one piece."""
    first = True
    async for response in stream:
        piece = bytes(response.audio_content)
        if first and piece.startswith(b"RIFF"):
            piece = piece[piece.find(b"data") + 8 :]
        first = first and not piece
        if piece:
            yield piece
