"""What the recognisers have in common that answer every end of speech (`local_stt.py`,
`google_stt.py`, `deepgram_listen.py` …)."""

from __future__ import annotations

from pipecat.frames.frames import CancelFrame, EndFrame, VADUserStoppedSpeakingFrame
from pipecat.services.stt_service import STTService


class AnsweringSTTService(STTService):
    """A recogniser that answers every end of speech, with a text or with nothing.

    So it needs no timer to know when to give up on an answer. Pipecat's (2 s, one task each end of
    speech) can be forgotten when a transcript and the next start come together, and then outlives
    the call.
    """

    def can_generate_metrics(self) -> bool:
        return True

    async def _handle_vad_user_stopped_speaking(self, frame: VADUserStoppedSpeakingFrame) -> None:
        self._user_speaking = False
        if frame.stop_secs:
            await self.start_ttfb_metrics(start_time=frame.timestamp - frame.stop_secs)

    async def _drop_all(self) -> None:
        """The call is over: nothing that waits may run, and no task may stay."""

    async def stop(self, frame: EndFrame) -> None:
        await super().stop(frame)
        await self._drop_all()

    async def cancel(self, frame: CancelFrame) -> None:
        await super().cancel(frame)
        await self._drop_all()

    async def cleanup(self) -> None:
        await super().cleanup()  # type: ignore[no-untyped-call]
        await self._drop_all()
