"""What comes as JSON is taken at its word."""

from __future__ import annotations

import orjson
import pytest

from telebot.api.query import read, valid
from telebot.api.voice.shapes import SynthesizeRequest, TranscribeRequest
from telebot.call.errors import ApiError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "body",
    [
        {"text": "hi", "speed": "1.5"},
        {"text": "hi", "speed": True},
        {"text": "hi", "sample_rate": "8000"},
        {"text": "hi", "sample_rate": 8000.5},
        {"text": "hi", "sample_rate": 1e300},
        {"text": "hi", "stream": 1},
        {"text": "hi", "stream": "false"},
        {"text": 5},
        {"text": "hi", "provider": "deepgram"},
        {"text": "hi", "provider": {"only": "deepgram"}},
        {"text": "hi", "provider": {"only": [1]}},
        {"text": None},
    ],
)
def test_nothing_is_guessed(body):
    with pytest.raises(ApiError) as refused:
        read(SynthesizeRequest, orjson.dumps(body))
    assert refused.value.status == 400
    assert refused.value.param


@pytest.mark.parametrize("speed", [1, 1.0, 0.25, 4])
@pytest.mark.parametrize("rate", [8000, 8000.0, None])
def test_numbers_are_numbers_however_they_are_written(speed, rate):
    body = orjson.dumps({"text": "hi", "speed": speed, "sample_rate": rate})
    asked = read(SynthesizeRequest, body)
    assert (asked.speed, asked.sample_rate) == (speed, rate)
    lists = {"text": "hi", "provider": {"only": ["deepgram"], "sort": "price"}}
    assert read(SynthesizeRequest, orjson.dumps(lists)).provider.only == ("deepgram",)


def test_fields_of_a_form_are_texts():
    fields = {"words": "true", "normalize": "0", "language": "de"}
    asked = valid(TranscribeRequest, fields)
    assert (asked.words, asked.normalize, asked.language) == (True, False, "de")
    with pytest.raises(ApiError):
        valid(TranscribeRequest, fields, texts=False)


@pytest.mark.parametrize("depth", [65, 300, 1000, 5000])
def test_nothing_is_deeper_than_can_be_walked(depth):
    options = b'{"a":' * depth + b"1" + b"}" * depth
    with pytest.raises(ApiError) as refused:
        read(SynthesizeRequest, b'{"text": "hi", "provider": {"options": {"a": ' + options + b"}}}")
    assert (refused.value.status, refused.value.code) == (400, "invalid_json")
