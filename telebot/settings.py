"""Every setting of the server: one row each with its default, its unit and a line of help.

The only reader of the environment and of the YAML in `config/` (by `config_file.py`). A value comes
from the command line, else the environment, else `config/telebot.yaml`, else the default here.
`docs/settings.md` is generated from these rows. Agents (`config/agents/NAME.yaml`) are read here
too, except for what their conversation says, which is `dialog/`'s.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, SecretStr

from telebot import setting_types
from telebot.agent_settings import AgentSettings
from telebot.auth_settings import AuthSettings
from telebot.config_file import ConfigFile, SettingsError, did_you_mean, read, told
from telebot.outgoing_settings import OutboundSettings, TransferSettings
from telebot.setting_types import Address, Networks, PublicUrl
from telebot.voice_settings import LimitSettings, VoiceSettings
from telebot.yaml_nodes import composed

T = TypeVar("T", bound=BaseModel)
PACKAGE_CONFIG = Path(__file__).resolve().parent.parent / "config"
LOOSE_NUMBER = re.compile(r"(?=.*[\s()./-])[+\d\s()./-]+")  # +44 (0)1632 960-000


# for the settings of each carrier too, which stand in its own file
Row = setting_types.Row
row = setting_types.row


class ServerSettings(Row):
    """Where the server listens and what it lets in."""

    http: Address = row("127.0.0.1:8080", "HTTP and media sockets", env="TELEBOT_HTTP")
    sip: Address = row("127.0.0.1:5060", "SIP trunk (UDP)", env="TELEBOT_SIP")
    audiosocket: Address = row("127.0.0.1:9092", "AudioSocket (TCP)", env="TELEBOT_AUDIOSOCKET")
    data: Path = row(Path("data"), "folder of everything that is kept", env="TELEBOT_DATA")
    public_url: PublicUrl = row(
        "", "URL by which carriers reach this server", env="TELEBOT_PUBLIC_URL", max_length=2048
    )
    trusted_proxies: Networks = row(
        (), "addresses whose forwarded headers are believed", env="TELEBOT_TRUSTED_PROXIES"
    )
    drain_s: float = row(
        30.0, "after SIGTERM live calls may go on for this long", unit="s", ge=0, le=3600
    )
    max_calls: int = row(500, "calls at once; one more is refused", unit="calls", ge=1, le=10_000)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = row(
        "INFO", "least severe log line that is written", env="TELEBOT_LOG_LEVEL"
    )
    log_private: bool = row(False, "write callers' words and numbers into the log unmasked")


class SecuritySettings(Row):
    """Keys. What is empty is made at the first start and kept in the data folder."""

    secret_key: SecretStr = row(SecretStr(""), "signs stream tokens", env="TELEBOT_SECRET_KEY")
    vault_key: SecretStr = row(
        SecretStr(""),
        "encrypts stored keys; several with commas, the new one first",
        env="TELEBOT_VAULT_KEY",
    )
    admin_key: SecretStr = row(SecretStr(""), "the first API key", env="TELEBOT_ADMIN_KEY")
    token_life_s: float = row(
        300.0, "a stream token is good for this long, once", unit="s", gt=0, le=3600
    )


class MediaSettings(Row):
    """The media stream: how far ahead audio is sent, and when a stream is given up."""

    start_timeout_s: float = row(
        10.0, "a socket without a valid start is closed after", unit="s", gt=0, le=60
    )
    idle_timeout_s: float = row(
        20.0, "a stream without a single frame is taken for lost after", unit="s", gt=0, le=300
    )
    max_message_bytes: int = row(
        65_536, "a larger message closes the stream", unit="bytes", ge=1024, le=1 << 22
    )
    max_junk: int = row(
        200, "this many meaningless messages close the stream", unit="messages", ge=1, le=100_000
    )
    piece_ms: int = row(20, "bot audio is sent in pieces of", unit="ms", ge=20, le=200)
    lead_ms: int = row(
        300, "bot audio is sent this far ahead of its play-out", unit="ms", ge=60, le=2000
    )


class SipSettings(Row):
    """SIP in this process; its trunks stand in `trunks.yaml`."""

    advertise: str = row(
        "",
        "our IP address as trunks see it; empty: the one listened on, or that of the way outside",
        env="TELEBOT_SIP_ADVERTISE",
        max_length=64,
    )
    rtp_ports: tuple[int, int] = row(
        (20_000, 29_999), "first and last UDP port of RTP; a call takes two"
    )
    wait_ms: int = row(200, "a late packet is waited for at most", unit="ms", ge=0, le=1000)
    keepalive_s: float = row(0.0, "0 sends silence, else one packet each", unit="s", ge=0, le=30)
    nameserver: str = row(
        "",
        "who is asked where trunks' hosts are, IP:PORT; empty: the system's own",
        pattern=r"^([0-9.]+(:[0-9]{1,5})?)?$",
    )


class SpeechSettings(Row):
    """Hearing: when speech begins and ends, when a turn is over, what interrupts the bot."""

    vad_confidence: float = row(0.7, "speech probability from which a window counts", gt=0, lt=1)
    vad_start_s: float = row(0.128, "speech this long is an onset", unit="s", ge=0.032, le=1)
    vad_stop_s: float = row(0.2, "silence this long ends an utterance", unit="s", ge=0.1, le=2)
    energy_gate: bool = row(True, "spare the VAD model on windows at the line's noise floor")
    endpointing: Literal["smart", "vad"] = row(
        "smart", "a turn is over when the turn model says so, or after any pause"
    )
    incomplete_wait_s: float = row(
        1.8, "an unfinished sentence is answered after this silence", unit="s", ge=0.2, le=10
    )
    turn_timeout_s: float = row(0.6, "the turn model has this long to answer", unit="s", gt=0, le=5)
    barge_in_s: float = row(
        0.75, "speech over the bot this long is an interruption", unit="s", ge=0.1, le=5
    )
    backchannel_wait_s: float = row(
        1.0, "after short speech over the bot, words are awaited for", unit="s", ge=0.1, le=5
    )
    reply_timeout_s: float = row(
        10.0, "a reply that has not begun by then is given up with an apology", unit="s", gt=0
    )
    stt_threads: int = row(1, "local recognisers side by side", unit="threads", ge=1, le=64)
    tts_threads: int = row(2, "local voices side by side", unit="threads", ge=1, le=64)
    phrases_folder: Path | None = row(
        None,
        "folder of sentences that agents say word for word; servers may share one; empty: in the "
        "data folder",
        env="TELEBOT_PHRASES",
    )
    kept_voice_memory_mb: int = row(
        32, "fixed sentences of vendors' voices kept in memory", unit="MiB", ge=0, le=4096
    )
    kept_voice_disk_mb: int = row(
        256, "the same in the data folder; 0 keeps none there", unit="MiB", ge=0, le=65_536
    )


class RecordsSettings(Row):
    """What is kept of a call, and for how long."""

    database_url: SecretStr = row(
        SecretStr(""),
        "SQLAlchemy URL; empty: SQLite in the data folder",
        env="TELEBOT_DATABASE_URL",
    )
    redis_url: SecretStr = row(
        SecretStr(""), "counts limits for all servers; empty: each its own", env="TELEBOT_REDIS_URL"
    )
    recording: bool = row(True, "record calls in stereo (caller left, bot right)")
    retention_days: float = row(
        30.0, "calls and recordings are deleted after; 0 keeps them", unit="days", ge=0, le=36_500
    )
    currency: str = row("USD", "currency of costs", min_length=3, max_length=3)


class VendorLimits(Row):
    """What a vendor allows; what goes beyond waits its turn, or the next link does it."""

    requests_per_minute: int | None = row(None, "requests, new streams", unit="requests", ge=1)
    concurrent: int | None = row(None, "requests, open streams at once", unit="requests", ge=1)
    characters_per_minute: int | None = row(None, "characters to speak", unit="characters", ge=1)


class Settings(Row):
    """Everything, grouped."""

    server: ServerSettings = ServerSettings()
    security: SecuritySettings = SecuritySettings()
    media: MediaSettings = MediaSettings()
    sip: SipSettings = SipSettings()
    speech: SpeechSettings = SpeechSettings()
    records: RecordsSettings = RecordsSettings()
    outbound: OutboundSettings = OutboundSettings()
    transfer: TransferSettings = TransferSettings()
    auth: AuthSettings = AuthSettings()
    voice: VoiceSettings = VoiceSettings()
    limits: LimitSettings = LimitSettings()
    config_dir: Path = row(
        PACKAGE_CONFIG,
        "folder of agents/ and numbers.yaml; with --config the file's own, if agents/ is there",
    )
    carriers: dict[str, dict[str, Any]] = row({}, "settings of one carrier each, by its name")
    pacing: dict[str, VendorLimits] = row(
        {}, "limits of one provider each, or of one model of it, by its name"
    )
    environ: dict[str, str] = Field({}, exclude=True, repr=False)
    sources: dict[str, str] = Field({}, exclude=True, repr=False)  # of each value, by its name

    @property
    def phrases_folder(self) -> Path:
        """Where sentences are kept that agents say word for word."""
        return self.speech.phrases_folder or self.server.data / "phrases"

    def carrier(self, name: str, model: type[T]) -> T:
        """The settings of one carrier, whose rows stand in the carrier's own file."""
        prefix = f"carriers.{name}."
        own = ConfigFile(dict(self.carriers.get(name, {})), dict(self.sources))
        for field, _, _, env, _ in rows(model):
            if env and self.environ.get(env):
                own.put(field, self.environ[env], env)
                own.sources[prefix + field] = env
        return own.checked(model, prefix=prefix)

    def check_carriers(self, known: Iterable[str]) -> None:
        """Raises `SettingsError` on settings of a carrier that is not in `known`."""
        self._check("carriers", "carrier", known)

    def check_pacing(self, known: Iterable[str]) -> None:
        """Raises `SettingsError` on limits of a provider that is not in `known`."""
        self._check("pacing", "provider", known)

    def _check(self, group: str, what: str, known: Iterable[str]) -> None:
        known = [*known]
        faults = [
            told(self.sources, f"{group}.{name}", f"no such {what}{did_you_mean(name, known)}")
            for name in getattr(self, group)
            if name.partition("/")[0] not in known
        ]
        if faults:
            raise SettingsError("\n".join(faults))


DIALOG_KEYS = frozenset({"facts", "phrases", "intents", "forms", "repairs"})


def load(
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read the configuration once. `overrides` are ``{"server.http": "127.0.0.1:0", …}`` from the
    command line. Raises `SettingsError` with every fault at once."""
    environ = os.environ if environ is None else environ
    path = config or PACKAGE_CONFIG / "telebot.yaml"
    if config and not config.is_file():
        raise SettingsError(f"{config}: no such file")
    file = read(path) if path.is_file() else ConfigFile()
    if config:
        file.tree.setdefault("config_dir", _config_dir_of(config))
    for name, variable in _environment_names().items():
        if environ.get(variable):
            file.put(name, environ[variable], variable)
    for name, value in (overrides or {}).items():
        if value is not None:
            file.put(name, value, "command line")
    file.tree |= {"environ": dict(environ), "sources": file.sources}
    return file.checked(Settings)


def load_agents(config_dir: Path) -> dict[str, AgentSettings]:
    """Every agent of the folder by name. Raises `SettingsError`."""
    agents: dict[str, AgentSettings] = {}
    for path in sorted((config_dir / "agents").glob("*.yaml")):
        file = read(path)
        for key in DIALOG_KEYS & file.tree.keys():
            del file.tree[key]
        file.tree.setdefault("agent", {"name": path.stem})
        file.tree |= {"path": path, "sources": file.sources}
        agent = file.checked(AgentSettings, also=DIALOG_KEYS)
        if other := agents.get(agent.agent.name):
            raise SettingsError(
                f"{path}: agent.name: {other.path.name} has the name {agent.agent.name!r} already"
            )
        agents[agent.agent.name] = agent
    if not agents:
        raise SettingsError(f"{config_dir / 'agents'}: no agents there; write one NAME.yaml")
    return agents


def load_numbers(config_dir: Path, agents: Mapping[str, AgentSettings]) -> dict[str, str]:
    """Which agent answers which number: ``{"+441632960000": "front-desk", "*": …}``."""
    path = config_dir / "numbers.yaml"
    tree = read(path).tree if path.is_file() else {}
    if tree.keys() - {"numbers"} or not isinstance(tree.get("numbers", {}), dict):
        raise SettingsError(f"{path}: `numbers:` must map each number to an agent's name")
    numbers: dict[str, str] = {}
    for number, agent, line in _written(path) if tree else ():
        where = f"{path}:{line}: {number}"
        if LOOSE_NUMBER.fullmatch(number):
            raise SettingsError(f"{where}: write it as the carrier does: +441632960000")
        if agent not in agents:
            raise SettingsError(f"{where}: no agent {agent!r}{did_you_mean(agent, agents)}")
        numbers[number] = agent
    return numbers


def _written(path: Path) -> Iterator[tuple[str, str, int]]:
    """Key, value and line of `numbers:` as they stand there: YAML reads +44… as an integer, and
    forgets the plus."""
    root = composed(path.read_text(encoding="utf-8"))
    for name, group in root.value if root is not None else ():
        if name.value == "numbers":
            for key, value in group.value:
                yield str(key.value), str(value.value), key.start_mark.line + 1


def rows(
    model: type[BaseModel] = Settings, prefix: str = ""
) -> list[tuple[str, str, str, str, str]]:
    """(name, default, unit, environment variable, help) of every setting, for the docs."""
    listed = []
    for name, info in model.model_fields.items():
        if info.exclude:
            continue
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            listed += rows(kind, f"{prefix}{name}.")
            continue
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        default = "" if info.is_required() else _shown(info.default)
        listed.append(
            (prefix + name, default, str(extra["unit"]), str(extra["env"]), info.description or "")
        )
    return listed


def _shown(default: Any) -> str:
    if isinstance(default, SecretStr) or default in ("", (), {}, None):
        return ""
    if isinstance(default, Path):
        return default.name
    return str(default).lower() if isinstance(default, bool) else str(default)


def _environment_names() -> dict[str, str]:
    return {name: env for name, _, _, env, _ in rows() if env}


def _config_dir_of(config: Path) -> Path:
    beside = config.resolve().parent
    return beside if (beside / "agents").is_dir() else PACKAGE_CONFIG
