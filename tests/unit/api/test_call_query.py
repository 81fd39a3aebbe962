"""Query parameters: every query is understood or refused by name, never more."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from telebot.api.query import CallQuery, EventQuery, parsed
from telebot.call.errors import ApiError
from telebot.records.reading import CallFilter

pytestmark = pytest.mark.unit
NAMES = [field.alias or name for name, field in CallQuery.model_fields.items()]
VALUES = st.text(max_size=140) | st.datetimes().map(str) | st.integers().map(str)


def asked(query: str) -> CallQuery:
    return parsed(CallQuery, make_mocked_request("GET", f"/v1/calls?{query}"))


@given(st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=9), VALUES), max_size=4))
def test_any_query_is_understood_or_refused(pairs):
    query = urlencode([(name, value.encode("utf-8", "replace")) for name, value in pairs])
    try:
        found = asked(query)
    except ApiError as error:
        refusal = error
    else:
        refusal = None
    if refusal is not None:
        assert (refusal.status, bool(refusal.code)) == (400, True)
        assert refusal.param is not None
        return
    assert 1 <= found.limit <= 200
    wanted = found.filter()
    for moment in (wanted.since, wanted.until):
        assert moment is None or moment.tzinfo is UTC


def test_what_is_said_is_what_is_looked_for():
    query = asked(
        "limit=7&carrier=twilio&agent=front-desk&state=ended&result=failed&reason=silence"
        "&from=%2B1555&to=+1777&since=2026-11-20T20:00:00%2B01:00&until=2026-11-21&q=table%20for"
    )
    assert query.limit == 7
    assert query.filter() == CallFilter(
        carrier="twilio",
        agent="front-desk",
        state="ended",
        result="failed",
        reason="silence",
        phone_from="+1555",
        phone_to="+1777",
        since=datetime(2026, 11, 20, 19, tzinfo=UTC),
        until=datetime(2026, 11, 21, tzinfo=UTC),
        q="table for",
    )


def test_nothing_asked_is_the_newest_fifty():
    assert asked("").limit == 50
    assert asked("").filter() == CallFilter()


def test_events_take_more_a_page():
    request = make_mocked_request("GET", "/v1/calls/x/events?limit=1000")
    assert parsed(EventQuery, request).limit == 1000
