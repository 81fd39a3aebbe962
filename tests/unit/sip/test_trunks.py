"""trunks.yaml: what may stand there, and which trunk a peer belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest

from telebot.config_file import SettingsError
from telebot.sip.trunks import STRANGERS_RATE, KnownTrunk, Trunks, load, matches

pytestmark = pytest.mark.unit


def trunks(folder: Path, text: str, **environ: str) -> Trunks:
    (folder / "trunks.yaml").write_text(text)
    return load(folder, environ)


def test_without_any_trunk_this_machine_alone_may_call(tmp_path: Path) -> None:
    [trunk] = load(tmp_path, {})
    assert trunk.has_peer("127.0.0.1")
    assert not trunk.has_peer("127.0.0.2")
    assert not trunk.settings.prefixes
    assert trunk.credentials is None


def test_the_credentials_of_the_environment_are_a_trunk(tmp_path: Path) -> None:
    known = trunks(tmp_path, "trunks: {}", TELEBOT_SIP_USER="u", TELEBOT_SIP_PASSWORD="p")
    [trunk] = known
    assert trunk.credentials
    assert (trunk.credentials.user, trunk.credentials.password) == ("u", "p")
    assert known.of("192.0.2.1") == [trunk]
    assert known.of("127.0.0.1") == [trunk], "this machine has to show it as well"


def test_a_trunk_is_known_by_its_addresses(tmp_path: Path) -> None:
    known = trunks(
        tmp_path,
        """
        trunks:
          pbx: {peers: [192.0.2.10, "2001:db8::/32"], numbers: ["+4416*", "100"], rate: 7}
          other: {peers: [192.0.2.0/24], media_peers: [198.51.100.0/24], prefixes: ["+44*"]}
        """,
    )
    pbx, other = known
    assert known.of("192.0.2.10") == [pbx, other]
    assert known.of("192.0.2.11") == [other]
    assert known.of("[2001:db8::1]") == [pbx], "as a Via writes it"
    assert known.of("203.0.113.1") == known.of("nonsense") == []
    assert pbx.takes("+441632960000")
    assert pbx.takes("100")
    assert not pbx.takes("1000")
    assert not pbx.may_dial("+441632960000")
    assert other.may_dial("+441632960000")
    assert other.may_talk_with("198.51.100.4", "192.0.2.11")
    assert other.may_talk_with("192.0.2.11", "192.0.2.11")
    assert not other.may_talk_with("203.0.113.1", "192.0.2.11")
    assert known.rate_of("192.0.2.10") == 30.0
    assert known.rate_of("203.0.113.1") == STRANGERS_RATE
    assert known.get("pbx") is pbx


def test_a_digest_takes_two_invites_a_call(tmp_path: Path) -> None:
    known = trunks(tmp_path, "trunks: {a: {auth: {user: u}, rate: 4}}", TELEBOT_SIP_PASSWORD="p")
    assert known.rate_of("203.0.113.1") == 8.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("trunks: {a: {}}", "name its `peers`, or demand a digest"),
        ("trunks: {a: {peers: [pbx.example.com]}}", "write networks like 10.0.0.0/8"),
        ("trunks: {a: {peers: [192.0.2.1], numbers: [441632960000]}}", 'like "+441632960000"'),
        ("trunks: {a: {peers: [192.0.2.1], numbers: ['+4*4']}}", "write numbers, or their beginn"),
        ("trunks: {a: {peers: [192.0.2.1], codecs: [G729]}}", "PCMU"),
        ("trunks: {a: {peers: [192.0.2.1], codecs: []}}", "at least 1"),
        ("trunks: {a: {peers: [192.0.2.1], session_expires_s: 30}}", "90 at least"),
        ("trunks: {a: {peer: [192.0.2.1]}}", "no such setting"),
        ("trunks: {a: {auth: {user: u}}}", "TELEBOT_SIP_PASSWORD is not set"),
        ("trunks: {a: {auth: {user: u, password_env: PW}}}", "PW is not set"),
        ("trunks: {a: {auth: {}}}", "name one, or set TELEBOT_SIP_USER"),
        ("trunks: {'a b': {peers: [192.0.2.1]}}", "letters, digits"),
        ("trunk: {}", "no such setting; did you mean 'trunks'?"),
    ],
)
def test_a_fault_says_where_it_stands(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        trunks(tmp_path, text)
    assert str(tmp_path / "trunks.yaml") in str(caught.value)
    assert told in str(caught.value)


def test_what_ships_has_no_trunk_and_its_example_is_good(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "config" / "trunks.yaml"
    [trunk] = load(shipped.parent, {})
    assert trunk.name == "this-machine"
    lines = shipped.read_text().splitlines()
    example = "\n".join(line[2:] for line in lines[lines.index("# trunks:") : -1])
    known = trunks(tmp_path, example, FIELD_SIP_PASSWORD="p")
    assert [one.name for one in known] == ["office-pbx", "provider", "field-phones"]


def test_a_number_or_its_beginning() -> None:
    assert matches("100", ("100",))
    assert matches("", ("*",))
    assert not matches("1001", ("100",))
    assert not matches("100", ())


def test_a_trunk_without_credentials_is_a_plain_value() -> None:
    [trunk] = load(Path("/nowhere"), {})
    assert trunk == KnownTrunk("this-machine", trunk.settings)
