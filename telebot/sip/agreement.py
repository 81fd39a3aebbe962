"""What the two sides of one leg agreed on for its media, offer after offer (RFC 3264).

Belongs to `live.py` and `second_leg.py`, which say what came and get what is to be said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from telebot.sip import sdp
from telebot.sip.causes import Cause
from telebot.sip.leg import Leg
from telebot.sip.rtp import RtpStream


class Agreement:
    """One leg's. The stream is told what holds."""

    def __init__(self, stream: RtpStream, codecs: Sequence[str]) -> None:
        self.stream = stream
        self._codecs = codecs
        self._said = b""  # our last description
        self._version = 1  # of it
        self.held = False  # by the peer: not both ways

    def offer(self) -> bytes:
        """What we would like: in an INVITE of ours, or where the peer made no offer."""
        return self.answer(None)

    def answer(self, offer: bytes | None) -> bytes:
        """Our side for the peer: the answer to their offer, or an offer where they made none.
        Raises `NotAcceptable`, `BadSdp`."""
        theirs = None if offer is None else sdp.read(offer)
        body, negotiated = self._written(theirs)
        if self._said and body != self._said:  # something new has to bear a new version
            self._version += 1
            body, negotiated = self._written(theirs)
        self._said = body
        if negotiated is not None:
            self._use(negotiated)
        return body

    def reply(self, leg: Leg, offer: bytes | None) -> None:
        """Answer an offer on the leg, or refuse it there."""
        try:
            leg.answer(self.answer(offer))
        except sdp.BadSdp:
            leg.refuse(Cause(400))
        except sdp.NotAcceptable:
            leg.refuse(Cause(488))

    def take(self, answer: bytes) -> None:
        """Their answer to our offer. Raises `NotAcceptable`, `BadSdp`."""
        if self._said:
            self._use(sdp.accept(self._said, sdp.read(answer)))

    def _use(self, negotiated: sdp.Negotiated) -> None:
        self.held = negotiated.held
        self.stream.use(negotiated)

    def _written(self, theirs: sdp.MediaDescription | None) -> tuple[bytes, sdp.Negotiated | None]:
        local = replace(self.stream.local, version=self._version)
        if theirs is None:
            return sdp.offer(local, self._codecs), None
        return sdp.answer(theirs, local, self._codecs)
