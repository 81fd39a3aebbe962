"""The document of `/v1/voice/config/export` and `/import`, and what an import is asked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import orjson
from pydantic import ConfigDict, Field, SecretStr

from telebot.api.keys import KeyTerms
from telebot.models import LazyModel
from telebot.records.portable import Action, Section
from telebot.records.vault import MAX_SECRET_CHARS
from telebot.voice.defaults import UserId, UserPreferences
from telebot.voice.flags import Flag, FlagName

Owner = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class _Part(LazyModel):
    model_config = ConfigDict(extra="forbid")


class PreferencesPart(_Part):
    """What one user prefers."""

    owner: Owner
    user: UserId | None = None
    preferences: UserPreferences


class FlagPart(_Part):
    """One flag."""

    name: FlagName
    flag: Flag


class KeyPart(_Part):
    """What one API key may use; an import makes no keys."""

    id: Owner
    name: str = Field("", max_length=256, description="for people; not imported")
    scope: str = Field("", max_length=64, description="for people; not imported")
    terms: KeyTerms


class ProviderKeyPart(_Part):
    """A provider's key of an owner. `secret` is sealed; without it the key that is there keeps its
    own."""

    owner: Owner
    provider: str = Field(min_length=1, max_length=128)
    label: str = Field("", max_length=128)
    masked: str = Field("", max_length=128, description="for people; not imported")
    order: int = Field(0, ge=0, le=1000)
    is_fallback: bool = False
    allowed_models: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    secret: str | None = Field(None, max_length=8 * MAX_SECRET_CHARS, repr=False)

    @property
    def bound(self) -> bytes:
        """What a sealed secret is for."""
        return orjson.dumps(["telebot-config", self.owner, self.provider, self.label])


class SealingPart(_Part):
    """How the passphrase was made a key: scrypt (RFC 7914), then AES-256-GCM."""

    kdf: Literal["scrypt"] = "scrypt"
    cipher: Literal["aes-256-gcm"] = "aes-256-gcm"
    n: int
    r: int
    p: int
    salt: str = Field(max_length=128)


class Document(_Part):
    """The configuration. A section that is null is not in it."""

    format: Literal["telebot-config"] = "telebot-config"
    version: Literal[1] = 1
    exported_at: datetime | None = None
    sealing: SealingPart | None = None
    preferences: list[PreferencesPart] | None = None
    flags: list[FlagPart] | None = None
    keys: list[KeyPart] | None = None
    provider_keys: list[ProviderKeyPart] | None = None


class ImportRequest(_Part):
    """A document to put in."""

    document: Document
    passphrase: SecretStr | None = Field(None, description="where the document has sealed secrets")
    mode: Literal["merge", "replace"] = Field(
        "merge", description="replace: what a section of the document does not name is removed"
    )
    owners: dict[Owner, Owner] = Field(
        default_factory=dict, description="{id in the document: id here}; others stay"
    )
    dry_run: bool = Field(False, description="tell the changes and make none")


class ChangeRow(LazyModel):
    """One difference."""

    section: Section
    action: Action
    name: str


class ImportAnswer(LazyModel):
    """What was changed, or would be."""

    applied: bool
    changes: list[ChangeRow]
