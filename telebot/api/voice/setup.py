"""All endpoints of voice work, on one `Voice`."""

from __future__ import annotations

from telebot.api.calls import HasEndpoints
from telebot.api.idempotency import Once
from telebot.api.voice.compatible import Compatible
from telebot.api.voice.lists import Lists
from telebot.api.voice.synthesize import Synthesize
from telebot.api.voice.transcribe import Transcribe, WhoAsks
from telebot.voice.service import Voice


def parts(voice: Voice, who: WhoAsks) -> list[HasEndpoints]:
    """For `api.calls.setup`. `who` gives the id of a request's owner."""
    once = Once(voice.clock, who, most_bytes=voice.settings.kept_answers_mb << 20)
    return [
        Transcribe(voice, who, once),
        Synthesize(voice, who, once),
        Lists(voice, who),
        Compatible(voice, who, once),
    ]
