"""Forms, cut up as they were put together; what is none is refused."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.api.voice.multipart import BrokenForm, boundary_of, parts

pytestmark = pytest.mark.unit


def form(*fields: tuple[str, bytes], boundary: bytes = b"x") -> bytes:
    head = b'Content-Disposition: form-data; name="%b"'
    made = [b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary, head % n.encode(), v) for n, v in fields]
    return b"".join(made) + b"--%b--\r\n" % boundary


def cut(body: bytes, boundary: bytes = b"x") -> list[tuple[str, bytes]]:
    return [(part.name, part.value) for part in parts(body, boundary)]


def test_fields_come_back_as_they_were_sent() -> None:
    sent = [("model", b"local"), ("file", b"\r\n--y\r\n\x00RIFF"), ("empty", b""), ("model", b"b")]
    assert cut(form(*sent)) == sent
    assert cut(b"a preamble\r\n" + form(*sent) + b"an epilogue") == sent
    assert cut(b"--x--") == []


def test_heads_as_programs_write_them() -> None:
    body = (
        b'--x \t\r\ncontent-disposition:form-data;name=a;filename="a;name=b\\".wav"\r\n'
        b"CONTENT-TYPE: audio/wav; rate=8000\r\n\r\n1\r\n"
        b'--x\r\nContent-Disposition: form-data; filename="\xc3\xbc"; name="\xc3\xb6"\r\n\r\n2\r\n'
        b"--x--"
    )
    first, second = parts(body, b"x")
    assert (first.name, first.media_type, first.value) == ("a", "audio/wav; rate=8000", b"1")
    assert (second.name, second.value) == ("ö", b"2")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x\r\n",
        b"--x\r\n--x--",
        b"--x\r\n\r\n--x--",
        b"--x\r\n\r\nvalue\r\n--x--",
        b"--xy" + form(("a", b"1"))[3:],
        form(("a", b"1"))[:-6],
        form(("a", b"1"), ("b", b"2"))[:-9],
        b"--x\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--x--",
        b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--",
        b"--x\r\nContent-Disposition: form-data; name=a\r\n1\r\n--x--",
        b"--x\r\nContent-Disposition: form-data; name=" + b"a" * 9000 + b"\r\n\r\n1\r\n--x--",
        b"--x\r\nno header\r\n\r\n1\r\n--x--",
    ],
)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(BrokenForm):
        cut(body)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; Boundary="a b:c"', b"a b:c"),
        ("multipart/form-data;boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW", None),
    ],
)
def test_the_boundary(content_type: str, boundary: bytes | None) -> None:
    wanted = content_type.partition("=")[2].encode() if boundary is None else boundary
    assert boundary_of(content_type) == wanted


@pytest.mark.parametrize("said", ["", "; boundary=", f"; boundary={'a' * 71}", '; boundary="\xe9"'])
def test_a_boundary_that_is_none(said: str) -> None:
    with pytest.raises(BrokenForm):
        boundary_of(f"multipart/form-data{said}")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=40)), max_size=4))
def test_any_values_come_back(fields: list[tuple[str, bytes]]) -> None:
    body = form(*fields, boundary=b"q7")
    if all(b"--q7" not in value for _, value in fields):
        assert cut(body, b"q7") == fields


@given(st.binary(max_size=60))
def test_any_bytes_are_a_form_or_none(junk: bytes) -> None:
    whole = form(("a", b"1"))
    for body in (junk, b"--x" + junk, b"--x\r\n" + junk, whole[:-4] + junk, junk + whole):
        try:
            found = cut(body)
        except BrokenForm:
            continue
        read = email.message_from_bytes(
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + body,
            policy=email.policy.HTTP,
        )
        assert not found or read.is_multipart()
