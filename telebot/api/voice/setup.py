"""All endpoints of voice work, on one `Voice`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from telebot.api.calls import HasEndpoints
from telebot.api.voice.compatible import Compatible
from telebot.api.voice.flags import FlagsApi
from telebot.api.voice.intents import IntentsApi
from telebot.api.voice.lists import Lists
from telebot.api.voice.portable import PortableApi
from telebot.api.voice.preferences import Forgets, PreferencesApi
from telebot.api.voice.synthesize import Synthesize
from telebot.api.voice.transcribe import Transcribe, WhoAsks
from telebot.api.voice.turns import InTurn
from telebot.call.ports import WallClock
from telebot.dialog.brain import Brain
from telebot.records.choices import Choices
from telebot.records.portable import Portable
from telebot.voice.service import Voice


def parts(
    voice: Voice, who: WhoAsks, brains: Mapping[str, Brain], now: WallClock
) -> list[HasEndpoints]:
    """For `api.calls.setup`. `who` gives the id of a request's owner; `brains` are the agents'."""
    once = InTurn(voice, who)
    return [
        Transcribe(voice, who, once),
        Synthesize(voice, who, once),
        Lists(voice, who),
        Compatible(voice, who, once),
        IntentsApi(voice, who, once, brains, now),
    ]


def portable(
    portable: Portable, voice: Voice, who: WhoAsks, now: WallClock, agents: Collection[str]
) -> HasEndpoints:
    """All of the configuration, out and in."""
    return PortableApi(portable, voice, who, now, agents=agents)


def choosing(
    choices: Choices,
    voice: Voice,
    who: WhoAsks,
    agents: Collection[str],
    forget: Sequence[Forgets] = (),
) -> list[HasEndpoints]:
    """What is chosen beside the requests: by users, and by an operator. `agents` may be named;
    `forget` takes away what else is kept of a user."""
    return [
        PreferencesApi(choices, voice, who, agents=agents, others=forget),
        FlagsApi(choices, voice, who, agents=agents),
    ]
