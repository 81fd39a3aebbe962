"""What holds where a request says nothing: of a user's own choosing (`UserPreferences`) or of an
operator's trying (`flags.py`).

Only what acts can be said here. Privacy binds: no request loosens it. Next: `tailoring.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from telebot.audio.files import FORMATS
from telebot.models import LazyModel
from telebot.voice.preferences import PLAIN, Name, Preferences

Text = Annotated[str, Field(max_length=256, pattern=PLAIN)]
TAG = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
Language = Annotated[str, Field(pattern=TAG, description="BCP 47, e.g. en-GB")]
Model = Annotated[str, Field(min_length=1, max_length=256, pattern=PLAIN)]
# an id of an application's own, within its API key: one key may serve many people
UserId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._@:+-]{1,64}$")]


class _Part(LazyModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Models(_Part):
    """A model for each kind of work, as a request's `model` names it."""

    stt: Model | None = Field(None, description="recordings to text")
    llm: Model | None = Field(None, description="answers")
    tts: Model | None = Field(None, description="texts to sound")


class Providers(_Part):
    """Who may do each kind of work, as a request's `provider` says it."""

    stt: Preferences | None = None
    llm: Preferences | None = None
    tts: Preferences | None = None


NO_MODELS, ANY_PROVIDERS = Models.model_validate({}), Providers.model_validate({})


class Defaults(_Part):
    """Taken where the request says nothing."""

    model: Models = Field(NO_MODELS, description="by kind of work")
    provider: Providers = Field(ANY_PROVIDERS, description="by kind of work")
    voice: Annotated[dict[Name, Model], Field(max_length=32)] = Field(
        default_factory=dict, description="the usual voice at each provider: {provider: voice}"
    )
    speed: float | None = Field(None, ge=0.25, le=4.0)
    language: Language | None = Field(None, description="heard and spoken")
    format: Literal[FORMATS] | None = Field(None, description="of the sound")  # type: ignore[valid-type]
    sample_rate: int | None = Field(None, ge=8000, le=48000, description="of the sound, Hz")
    agent: Model | None = Field(None, description="who answers in chats and realtime sessions")


class Privacy(_Part):
    """What may be done with a user's words. It binds: a request cannot loosen it."""

    data_collection: Literal["allow", "deny"] = Field(
        "allow", description="deny: nothing leaves this machine, as `provider.data_collection`"
    )
    keep: bool = Field(
        True, description="false: nothing that was said or heard is kept: no sound, no transcript"
    )
    link: bool = Field(True, description="false: records of work do not say that it was this user")
    experiments: bool = Field(True, description="false: no flag chooses anything for this user")


OPEN = Privacy.model_validate({})


class Notifications(_Part):
    """What is told without being asked."""

    budget: float | None = Field(
        None, gt=0, le=1,
        description="the cost report warns from this share of the key's monthly budget on",
    )  # fmt: skip


UNTOLD = Notifications.model_validate({})


class UserPreferences(Defaults):
    """What a user prefers."""

    privacy: Privacy = OPEN
    notifications: Notifications = UNTOLD


NOTHING = UserPreferences.model_validate({})
