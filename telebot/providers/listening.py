"""What a chain of recognisers keeps: the utterance under way, and the way to who listens."""

from __future__ import annotations

import asyncio
from collections import deque

from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.stt_service import STTService

from telebot.audio.wideband import Converted
from telebot.providers.doorbell import Doorbell
from telebot.providers.hosted import Hosted
from telebot.providers.voicing import find_speech, to_float

PREROLL_S = 0.6  # the detector says that speech began a little after it did
LONGEST_S = 30.0  # of an utterance; what came before is forgotten
EVENT_S = 3.0  # a recogniser that has not dealt with an event by then hangs
JUDGED_S, VOICED_S = 5.0, 0.15  # a short word has 0.1 s that is voiced, "goodbye" 0.3
AT_ONCE = 4  # frames (0.16 s) that a recogniser gets together while nobody speaks
WAITING = 400  # frames on their way to a recogniser (16 s): one that takes none has stopped reading


class Utterance:
    """Caller audio and the detector's words on it since the last text; between two utterances the
    last moments, with which the next one begins."""

    def __init__(self) -> None:
        self.frames: deque[Frame] = deque()
        self.finals: list[str] = []
        self.interim = False  # some text, not the last
        self.unanswered = False
        self.stopped = False
        self._kept_s = 0.0
        self._stopped_at = 0.0

    @property
    def audio_s(self) -> float:
        return self._kept_s

    def hear(self, frame: InputAudioRawFrame) -> None:
        self.frames.append(frame)
        self._kept_s += _seconds(frame)
        most_s = LONGEST_S if self.unanswered else PREROLL_S
        while self._kept_s > most_s and self._drop_oldest():
            pass

    def begin(self, frame: Frame) -> None:
        """The detector: speech has begun, or goes on."""
        self.unanswered, self.stopped = True, False
        self.frames.append(frame)

    def stop(self, frame: Frame) -> None:
        """The detector: it is over."""
        self.stopped = True
        self._stopped_at = asyncio.get_running_loop().time()
        self.frames.append(frame)

    def answered(self) -> None:
        """Its text is known: only its last moments stay."""
        self.finals.clear()
        self.interim = self.unanswered = self.stopped = False
        audio = [frame for frame in self.frames if isinstance(frame, InputAudioRawFrame)]
        self.frames = deque(audio)
        self._kept_s = sum(map(_seconds, audio))
        while self._kept_s > PREROLL_S and self._drop_oldest():
            pass

    def waited_s(self, now: float) -> float:
        """Since its end."""
        return max(0.0, now - self._stopped_at)

    def voiced(self) -> bool:
        """Its last seconds sound like words rather than a cough or a click."""
        audio = [frame for frame in self.frames if isinstance(frame, InputAudioRawFrame)]
        if not audio:
            return False
        rate_hz = audio[-1].sample_rate
        pcm16 = b"".join(frame.audio for frame in audio)[-2 * round(JUDGED_S * rate_hz) :]
        speech = find_speech(to_float(pcm16), rate_hz)
        return speech is not None and speech.voiced_s >= VOICED_S

    def _drop_oldest(self) -> bool:
        """Forget the oldest audio; the detector's words stay in front of the rest."""
        for index, frame in enumerate(self.frames):
            if isinstance(frame, InputAudioRawFrame):
                del self.frames[index]
                self._kept_s -= _seconds(frame)
                return True
        return False


class Feed:
    """Brings frames to one recogniser, in order, at its speed, and at its rate."""

    def __init__(self, hosted: Hosted, service: STTService) -> None:
        self._hosted = hosted
        self._service = service
        self._frames: deque[Frame] = deque()
        self._bell = Doorbell()
        self._seconds = 0.0
        self._closed = False
        self._to_rate: Converted | None = None

    def give(self, frame: Frame, *, hurry: bool = True) -> bool:
        """Put a frame on its way. False where the recogniser has not taken any for long. What is in
        no `hurry` goes with the next ones: waking the pump costs more than all it does."""
        if self._closed:
            return True
        if len(self._frames) >= WAITING:
            return False
        self._frames.append(frame)
        if hurry or len(self._frames) >= AT_ONCE:
            self._bell.ring()
        return True

    def take_seconds(self) -> float:
        """Audio that it was given, since the last time somebody asked."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def close(self) -> None:
        """No more; what waits is dropped."""
        self._closed = True
        self._frames.clear()
        self._bell.ring()

    async def run(self) -> None:
        """The pump; ends when the feed is closed."""
        frames, service, audio = self._frames, self._service, InputAudioRawFrame
        while not self._closed:
            if not frames:
                await self._bell.wait()
                continue
            frame = frames.popleft()
            if isinstance(frame, audio):
                self._seconds += _seconds(frame)
                if frame.sample_rate != service.sample_rate:
                    frame = self._converted(frame)
                await service.process_audio_frame(frame, FrameDirection.DOWNSTREAM)
            else:
                await self._hosted.feed_through(frame, EVENT_S)  # audio goes past its queue

    def _converted(self, frame: InputAudioRawFrame) -> InputAudioRawFrame:
        """As the recogniser takes it: not every one hears a wide line."""
        rate_hz = self._service.sample_rate
        if self._to_rate is None:
            self._to_rate = Converted(frame.sample_rate, rate_hz)
        return InputAudioRawFrame(self._to_rate.feed(frame.audio), rate_hz, 1)


def _seconds(frame: InputAudioRawFrame) -> float:
    return len(frame.audio) / 2 / frame.sample_rate
