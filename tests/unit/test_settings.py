"""Where a setting comes from, what is refused and in which words, and that every row explains
itself."""

import re
import tempfile
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from telebot.agent_settings import AgentCall, AgentIdentity, AgentSpeech
from telebot.auth_settings import Issuer
from telebot.carriers.registry import CARRIERS, Carriers
from telebot.carriers.twilio import TwilioSettings
from telebot.config_file import SettingsError
from telebot.settings import Row, Settings, VendorLimits, load, load_agents, load_numbers, row, rows
from telebot.settings_page import carrier_rows
from telebot.sip.trunks import Trunk, TrunkAuth

pytestmark = pytest.mark.unit

MODELS: list[type[Row]] = [
    Settings,
    AgentIdentity,
    AgentSpeech,
    AgentCall,
    VendorLimits,
    Issuer,
    Trunk,
    TrunkAuth,
    *(model for carrier in CARRIERS for model in carrier_rows(carrier)),
]
# The names that stay (what operators and images set).
VARIABLES = (
    "TELEBOT_HTTP TELEBOT_SIP TELEBOT_AUDIOSOCKET TELEBOT_DATA TELEBOT_PUBLIC_URL "
    "TELEBOT_DATABASE_URL TELEBOT_REDIS_URL TELEBOT_SECRET_KEY TELEBOT_VAULT_KEY "
    "TELEBOT_ADMIN_KEY TELEBOT_LOG_LEVEL TWILIO_ACCOUNT_SID TWILIO_AUTH_TOKEN TWILIO_BASE_URL"
).split()


class ShopSettings(Row):
    """A carrier's own rows, as a carrier's file defines them."""

    token: SecretStr = row(SecretStr(""), "opens the shop", env="SHOP_TOKEN")
    tries: int = row(3, "knocks at the door", ge=1)


def written(folder: Path, text: str) -> Path:
    file = folder / "telebot.yaml"
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return file


def faults(error: pytest.ExceptionInfo[SettingsError]) -> list[str]:
    return str(error.value).splitlines()


# --- where a value comes from ------------------------------------------------------------------


def test_the_defaults_take_calls_from_this_machine_alone() -> None:
    settings = load(environ={})
    assert settings.server.http == "127.0.0.1:8080"
    assert settings.server.sip == "127.0.0.1:5060"
    assert settings.server.audiosocket == "127.0.0.1:9092"
    assert settings.server.trusted_proxies == ()
    assert settings.server.log_private is False


def test_command_line_before_environment_before_file_before_default(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """\
        server: {http: "127.0.0.1:1", sip: "127.0.0.1:2", audiosocket: "127.0.0.1:3"}
        """,
    )
    environ = {"TELEBOT_HTTP": "127.0.0.1:11", "TELEBOT_SIP": "127.0.0.1:12"}
    settings = load(file, environ, {"server.http": "127.0.0.1:21", "server.sip": None})
    assert settings.server.http == "127.0.0.1:21"
    assert settings.server.sip == "127.0.0.1:12"
    assert settings.server.audiosocket == "127.0.0.1:3"
    assert settings.server.drain_s == 30.0


def test_an_empty_variable_is_none(tmp_path: Path) -> None:
    file = written(tmp_path, "server: {public_url: https://file.example}")
    assert load(file, {"TELEBOT_PUBLIC_URL": ""}).server.public_url == "https://file.example"


@pytest.mark.parametrize("text", ["", "# nothing\n", "server: {}\n"])
def test_an_empty_file_changes_nothing(tmp_path: Path, text: str) -> None:
    settings = load(written(tmp_path, text), {})
    assert settings.server == load(environ={}).server


@pytest.mark.parametrize(
    "value", ["10.0.0.0/8,127.0.0.1", "10.0.0.0/8 127.0.0.1", " 10.0.0.0/8 , 127.0.0.1 "]
)
def test_networks_in_the_environment_are_a_list(value: str) -> None:
    settings = load(environ={"TELEBOT_TRUSTED_PROXIES": value})
    assert settings.server.trusted_proxies == ("10.0.0.0/8", "127.0.0.1")


def test_agents_beside_a_configuration_are_its_own(tmp_path: Path) -> None:
    assert load(written(tmp_path, ""), {}).config_dir != tmp_path
    (tmp_path / "agents").mkdir()
    assert load(written(tmp_path, ""), {}).config_dir == tmp_path


def test_a_carrier_has_its_rows_from_file_and_environment(tmp_path: Path) -> None:
    file = written(tmp_path, "carriers: {shop: {token: from-file, tries: 5}}")
    settings = load(file, {"SHOP_TOKEN": "from-environment"})
    shop = settings.carrier("shop", ShopSettings)
    assert shop.token.get_secret_value() == "from-environment"
    assert shop.tries == 5
    assert settings.carrier("other", ShopSettings).tries == 3


def test_limits_are_by_provider_or_by_model(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """\
        pacing:
          acme: {concurrent: 4}
          acme/big: {requests_per_minute: 60}
        """,
    )
    pacing = load(file, {}).pacing
    assert pacing["acme"] == VendorLimits(concurrent=4)
    assert pacing["acme/big"].requests_per_minute == 60


def test_limits_of_a_provider_that_is_not_there_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "pacing:\n  acne/big: {concurrent: 4}\n")
    with pytest.raises(SettingsError) as error:
        load(file, {}).check_pacing(["acme"])
    assert str(error.value).endswith(":2: pacing.acne/big: no such provider")
    load(file, {}).check_pacing(["acne"])


@pytest.mark.parametrize("limit", ["{concurrent: 0}", "{concurent: 1}", "{concurrent: many}", "5"])
def test_limits_that_are_none_are_refused_with_their_line(tmp_path: Path, limit: str) -> None:
    file = written(tmp_path, f"pacing:\n  acme: {limit}\n")
    with pytest.raises(SettingsError, match=r"telebot\.yaml:2: pacing\.acme"):
        load(file, {})


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("servr: {}", "servr: no such setting"),
        ("server: {htp: 1}", "server.htp: no such setting; did you mean 'server.http'?"),
        ("server: {http: ':8080'}", "write HOST:PORT, for example 127.0.0.1:8080"),
        ("server: {http: 'localhost'}", "write HOST:PORT"),
        ("server: {http: 'localhost:99999'}", "write HOST:PORT"),
        ("server: {max_calls: 0}", "server.max_calls: "),
        (
            "server: {trusted_proxies: [nobody]}",
            "server.trusted_proxies: write networks like 10.0.0.0/8 (got 'nobody')",
        ),
        (
            "server: {public_url: bot.example.com}",
            "server.public_url: write https://HOST, for example https://bot.example.com",
        ),
        ("server: {public_url: 'wss://bot.example.com'}", "write https://HOST"),
        ("server: {public_url: 'https://bot.example.com/?a'}", "write https://HOST"),
        ("server: {log_level: LOUD}", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("media: {lead_ms: 5}", "media.lead_ms: "),
        ("carriers: {shop: 5}", "carriers.shop: "),
        ("- a list", "must hold `key: value` lines"),
        ("server: {http: [", "not readable as YAML"),
        ("\x00", "not readable as YAML"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_a_remedy(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "telebot.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as error:
        load(file, {})
    assert message in str(error.value)
    assert all(line.startswith(str(file)) for line in faults(error)[:1])


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    file = written(tmp_path, "server: {max_calls: 0, drain_s: -1, colour: red}")
    with pytest.raises(SettingsError) as error:
        load(file, {})
    assert len(faults(error)) == 3


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load(tmp_path / "nowhere.yaml", {})


def test_a_carriers_own_typo_is_refused(tmp_path: Path) -> None:
    settings = load(written(tmp_path, "carriers: {shop: {tokn: x}}"), {})
    with pytest.raises(SettingsError, match=r"did you mean 'carriers\.shop\.token'"):
        settings.carrier("shop", ShopSettings)


def test_a_carriers_bad_value_is_told_with_where_it_came_from(tmp_path: Path) -> None:
    file = written(tmp_path, "carriers:\n  shop:\n    tries: 0\n")
    with pytest.raises(SettingsError, match=r"telebot\.yaml:3: carriers\.shop\.tries: "):
        load(file, {}).carrier("shop", ShopSettings)


def test_an_address_of_the_rest_that_is_none_is_refused(tmp_path: Path) -> None:
    settings = load(written(tmp_path, ""), {"TWILIO_BASE_URL": "api.twilio.com"})
    with pytest.raises(SettingsError) as error:
        settings.carrier("twilio", TwilioSettings)
    assert faults(error) == [
        "TWILIO_BASE_URL: carriers.twilio.base_url: write https://HOST, for example "
        "https://api.twilio.com (got 'api.twilio.com')"
    ]


def test_a_carrier_that_nobody_registered_is_refused(tmp_path: Path) -> None:
    settings = load(written(tmp_path, "carriers:\n  twillio: {auth_token: x}\n"), {})
    with pytest.raises(SettingsError) as error:
        Carriers(settings)
    assert faults(error) == [
        f"{tmp_path}/telebot.yaml:2: carriers.twillio: no such carrier; did you mean 'twilio'?"
    ]
    Carriers(load(written(tmp_path, "carriers: {twilio: {auth_token: x}}"), {}))


@pytest.mark.parametrize("secret", ["secret_key", "vault_key", "admin_key"])
def test_a_secret_is_shown_nowhere(secret: str) -> None:
    canary = "canary-5f1e"
    settings = load(environ={f"TELEBOT_{secret.upper()}": canary})
    assert getattr(settings.security, secret).get_secret_value() == canary
    assert canary not in repr(settings)
    assert canary not in str(settings)
    assert canary not in settings.model_dump_json()


@given(st.text(max_size=60))
def test_no_address_but_host_and_port_passes(text: str) -> None:
    host, _, port = text.rpartition(":")
    try:
        address = load(environ={}, overrides={"server.http": text}).server.http
    except SettingsError:
        address = ""
    plain = port.isascii() and port.isdigit() and int(port) <= 65535
    if host and plain:
        assert address == f"{host}:{int(port)}"
    elif address:  # digits of another script are digits
        assert host
        assert 0 <= int(address.rpartition(":")[2]) <= 65535


# --- agents and numbers ------------------------------------------------------------------------


def agents_of(folder: Path, **files: str) -> Path:
    (folder / "agents").mkdir()
    for name, text in files.items():
        (folder / "agents" / f"{name}.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def test_an_agent_is_named_by_its_file_unless_it_says_otherwise(tmp_path: Path) -> None:
    folder = agents_of(tmp_path, one="phrases: {greeting: Hello}", two="agent: {name: second}")
    agents = load_agents(folder)
    assert sorted(agents) == ["one", "second"]
    assert agents["one"].path == folder / "agents" / "one.yaml"
    assert agents["one"].call == AgentCall()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "agent: {name: Front Desk}",
            "agent.name: write small letters, digits and hyphens, like front-desk",
        ),
        ("call: 5", "call: "),
        ("call: {silence_s: 0}", "call.silence_s: "),
        ("speech: {endpointing: slow}", "'smart' or 'vad'"),
        ("[]", "must hold `key: value` lines"),
    ],
)
def test_a_bad_agent_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_agents(agents_of(tmp_path, desk=text))
    assert message in str(error.value)
    assert "desk.yaml" in str(error.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("speach: {stt: local}", "1: speach: no such setting; did you mean 'speech'?"),
        ("\nspeech:\n  sst: local", "3: speech.sst: no such setting; did you mean 'speech.stt'?"),
        ("call:\n  a: 1", "2: call.a: no such setting"),
        ("silence_s: 5", "1: silence_s: no such setting; did you mean 'call.silence_s'?"),
        ("intent: {}", "1: intent: no such setting; did you mean 'intents'?"),
        ("speech:\n\n  stt: 5", "3: speech.stt: Input should be a valid string"),
        ("call: 5", "1: call: write `name: value` lines below it, indented"),
        ("agent: {language: en}", "1: agent.name: is missing; write it here"),
        ("call:\n  reprompts: 1\n  reprompts: 2", "3: call.reprompts: stands here twice"),
        (
            "call:\n\treprompts: 1",
            "2: not readable as YAML (found character '\\t' that cannot start any token); "
            "indent with spaces, never with the tab key",
        ),
    ],
)
def test_a_fault_in_an_agents_file_is_told_with_line_and_remedy(
    tmp_path: Path, text: str, fault: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load_agents(agents_of(tmp_path, desk=text))
    assert faults(error)[0] == f"{tmp_path}/agents/desk.yaml:{fault}"


def test_a_day_that_does_not_exist_is_left_to_whoever_wants_a_day(tmp_path: Path) -> None:
    folder = agents_of(tmp_path, desk="facts:\n  closed_dates: [2026-13-24]")
    assert list(load_agents(folder)) == ["desk"]


def test_a_group_that_is_none_is_explained_beside_a_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"telebot\.yaml:1: server: write `name: value` lines"):
        load(written(tmp_path, "server: 5"), {"TELEBOT_HTTP": "127.0.0.1:1"})


def test_a_bad_variable_is_told_by_its_name(tmp_path: Path) -> None:
    file = written(tmp_path, "server: {http: '127.0.0.1:1'}")
    with pytest.raises(SettingsError, match=r"^TELEBOT_HTTP: server\.http: .*write HOST:PORT"):
        load(file, {"TELEBOT_HTTP": "8080"})
    with pytest.raises(SettingsError, match=r"^command line: server\.http: "):
        load(file, {}, {"server.http": "8080"})


KEYS = st.sampled_from(
    ["server", "http", "carriers", "numbers", "agent", "name", "call", 5, None, 1.5]
)
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.dates()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
LETTERS = st.text(st.sampled_from("ab:{}[]&*!-?|>'\"#%@ \n\t\x00é5~<=.,"), max_size=60)


@hypothesis_settings(max_examples=150, deadline=None)
@given(LETTERS | TREES.map(yaml.safe_dump))
def test_whatever_stands_in_a_file_is_read_or_refused(text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "agents").mkdir()
        for file in ("telebot.yaml", "numbers.yaml", "agents/desk.yaml"):
            (folder / file).write_text(text, encoding="utf-8")
        for read in (
            lambda: load(folder / "telebot.yaml", {"TELEBOT_HTTP": "127.0.0.1:1"}),
            lambda: load_agents(folder),
            lambda: load_numbers(folder, {}),
        ):
            with suppress(SettingsError):
                read()


def test_no_agents_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"write one NAME\.yaml"):
        load_agents(tmp_path)


def test_numbers_name_agents_that_exist(tmp_path: Path) -> None:
    agents = load_agents(agents_of(tmp_path, desk="", echo=""))
    numbers = tmp_path / "numbers.yaml"
    assert load_numbers(tmp_path, agents) == {}
    numbers.write_text('numbers: {"+441632960000": desk, "*": echo}', encoding="utf-8")
    assert load_numbers(tmp_path, agents) == {"+441632960000": "desk", "*": "echo"}
    numbers.write_text('numbers: {"*": dsk}', encoding="utf-8")
    with pytest.raises(SettingsError, match="did you mean 'desk'"):
        load_numbers(tmp_path, agents)
    numbers.write_text("numbers: [desk]", encoding="utf-8")
    with pytest.raises(SettingsError, match="must map each number"):
        load_numbers(tmp_path, agents)


@pytest.mark.parametrize("number", ["+441632960000", "0441632960000", "441632960000", "007"])
def test_a_number_is_what_stands_there_without_quotes_too(tmp_path: Path, number: str) -> None:
    agents = load_agents(agents_of(tmp_path, desk=""))
    (tmp_path / "numbers.yaml").write_text(f"numbers:\n  {number}: desk\n", encoding="utf-8")
    assert load_numbers(tmp_path, agents) == {number: "desk"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("numbers:\n  +441: desk\n  '+441': echo\n", r"yaml:3: numbers\.\+441: stands here twice"),
        ("numbers:\n\n  +44 1632 960-000: desk\n", r"yaml:3: .*write it as the carrier does"),
        ("numbers:\n  '*': dsk\n", r"yaml:2: \*: no agent 'dsk'; did you mean 'desk'"),
        ("numbers:\n  '*': [desk]\n", r"yaml:2: \*: no agent"),
        ("number:\n  '*': desk\n", "must map each number"),
    ],
)
def test_a_bad_number_is_refused_with_its_line(tmp_path: Path, text: str, fault: str) -> None:
    agents = load_agents(agents_of(tmp_path, desk="", echo=""))
    (tmp_path / "numbers.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=fault):
        load_numbers(tmp_path, agents)


def test_two_agents_of_one_name_are_refused(tmp_path: Path) -> None:
    folder = agents_of(tmp_path, desk="agent: {name: desk}\n", shop="agent: {name: desk}\n")
    with pytest.raises(SettingsError, match=r"shop\.yaml: agent\.name: desk\.yaml has the name"):
        load_agents(folder)


@pytest.mark.parametrize("text", ["server:\n  # max_calls: 5\n", "server:\nspeech:\n"])
def test_a_heading_without_settings_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "telebot.yaml").write_text(text, encoding="utf-8")
    settings = load(tmp_path / "telebot.yaml", environ={}, overrides={"server.http": "[::1]:0"})
    assert settings.server.http == "[::1]:0"


@pytest.mark.parametrize("text", ["server: 5", "server: [1]", "server: {trusted_proxies: 5}"])
def test_a_group_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "telebot.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match="server"):
        load(tmp_path / "telebot.yaml", environ={}, overrides={"server.http": "[::1]:0"})


def test_what_ships_is_loadable() -> None:
    settings = load(environ={})
    agents = load_agents(settings.config_dir)
    assert {"front-desk", "echo", "bench"} <= set(agents)
    assert load_numbers(settings.config_dir, agents)["*"] == "front-desk"


# --- the rows ----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_row_explains_itself(model: type[Row]) -> None:
    for name, _, unit, env, help_line in rows(model):
        assert help_line, name
        assert not help_line.endswith("."), name
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*|", env), name
        for ending, expected in (("_s", "s"), ("_ms", "ms"), ("_days", "days")):
            if name.endswith(ending):
                assert unit == expected, name


def test_every_variable_that_stays_is_a_row() -> None:
    known = [(env, help) for model in MODELS for _, _, _, env, help in rows(model) if env]
    assert set(VARIABLES) - {env for env, _ in known} == set()
    # two carriers of one PBX share its variables; none means two things
    assert len(set(known)) == len({env for env, _ in known})
