"""The torture messages of RFC 4475 (`sip_peers/torture/`, from its appendix A, byte for byte) to a
server that has the number 100 alone: what each is answered, and that it stays up."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from sip_line import SipLine, sip_line
from sip_phone import Line
from sip_phone import sip_line as sip_server

pytestmark = pytest.mark.peers

MESSAGES = Path(__file__).with_name("sip_peers") / "torture"
TRUNKS = "trunks: {torture: {peers: [127.0.0.0/8]}}\n"
NOTHING = frozenset[int]()
NO_SUCH_NUMBER = {404}
DIALOG_UNKNOWN = {481}
NOT_HERE = {405}  # REGISTER and MESSAGE are no business of ours
LIBERAL = {400, 404}  # may be refused, or read as it was meant
LIBERAL_OPTIONS = {400, 200}

# section → what may be answered
ANSWERS: dict[str, set[int] | frozenset[int]] = {
    # 3.1.1: valid, so never 400
    "wsinv": {400} | DIALOG_UNKNOWN,  # its To has a tag; spaces inside a Via are beyond us
    "intmeth": {501},
    "esc01": NO_SUCH_NUMBER,
    "escnull": NOT_HERE,
    "esc02": {501},
    "lwsdisp": {200},
    "longreq": NO_SUCH_NUMBER,
    "dblreq": NOT_HERE,
    "semiuri": {200},
    "transports": {200},
    "mpart01": NOT_HERE,
    "unreason": NOTHING,  # a response to nothing
    "noreason": NOTHING,
    # 3.1.2: invalid
    "badinv01": {400},
    "clerr": {400},
    "ncl": {400},
    "scalar02": {400} | NOT_HERE,
    "scalarlg": NOTHING,
    "quotbal": {400},
    "ltgtruri": {400, 416},
    "lwsruri": {400} | DIALOG_UNKNOWN,
    "lwsstart": LIBERAL,
    "trws": LIBERAL_OPTIONS,
    "escruri": LIBERAL,
    "baddate": LIBERAL,
    "regbadct": {400} | NOT_HERE,
    "badaspec": LIBERAL_OPTIONS,
    "baddn": LIBERAL_OPTIONS,
    "badvers": {505},
    "mismatch01": {400},
    "mismatch02": {400, 501},
    "bigcode": NOTHING,
    # 3.2: transactions
    "badbranch": LIBERAL_OPTIONS,
    # 3.3: the application
    "insuf": {400},
    "unkscm": {416},
    "novelsc": {416},
    "unksm2": {400} | NOT_HERE,
    "bext01": {420},
    "invut": {415},
    "regaut01": {401} | NOT_HERE,
    "multi01": {400},
    "mcl01": {400},
    "bcast": NOTHING,
    "zeromf": {200},  # the last hop does not count
    "cparam01": NOT_HERE,
    "cparam02": NOT_HERE,
    "regescrt": NOT_HERE,
    "sdp01": {406},  # a body of none of the kinds we know would be the answer
    # 3.4: before RFC 3261; it names no Contact, without which there is no dialog
    "inv2543": LIBERAL,
}
TELLS = {"intmeth": "Allow", "esc02": "Allow", "bext01": "Unsupported", "invut": "Accept"}


def test_every_message_is_judged() -> None:
    assert {path.stem for path in MESSAGES.glob("*.sip")} == set(ANSWERS)


def judged(server: Line, line: SipLine, name: str) -> Iterator[str]:
    """What is wrong with the answer to that message."""
    said = [message for message in line.messages if message.status >= 200]
    wanted = ANSWERS[name]
    got = {message.status for message in said}
    if (not wanted and got) or (wanted and (len(got) != 1 or not got <= wanted)):
        yield f"{name}: {sorted(got) or 'silence'}, not {sorted(wanted) or 'silence'}"
    elif name in TELLS and not said[0].header(TELLS[name]):
        yield f"{name}: no {TELLS[name]}: {said[0].text}"
    if server.log.calls and server.log.calls[-1].state != "ended":
        yield f"{name}: a call of {server.log.calls[-1].offer}"


async def test_each_is_answered_as_the_rfc_names(tmp_path: Path) -> None:
    """Most of their Vias name no port and no rport, so answers go to 5060 (RFC 3261 section
    18.2.2): each line has that port, on an address of its own."""
    wrong = []
    async with sip_server(tmp_path, trunks=TRUNKS) as server:
        for number, name in enumerate(ANSWERS):
            async with sip_line(f"127.{random.randrange(1, 250)}.7.{number + 1}", 5060) as line:
                line.send((MESSAGES / f"{name}.sip").read_bytes(), ("127.0.0.1", server.port))
                options = line.request("OPTIONS", server.port, "100")
                alive = await line.ask(options, server.port)
                final = [m for m in line.messages if m.status >= 200]
                if ANSWERS[name] and len({m.header("Call-ID") for m in final}) < 2:
                    with contextlib.suppress(AssertionError):  # it is judged below
                        await line.arrives(lambda m, too=alive: m.status >= 200 and m != too)
                line.messages.remove(alive)
                wrong += list(judged(server, line, name))
    assert not wrong, "\n".join(wrong)
