"""The log: one JSON object a line, and nothing in it that a caller said, keyed or is called by."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import loguru
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from telebot import logs
from telebot.call.errors import CarrierError
from telebot.call.model import CallOffer

pytestmark = pytest.mark.unit

# What no line may hold, wherever it stands in these numbers and sentences.
NUMBER = "+441632960961"
WORDS = "the canary sings at half past seven"
DIGITS = "4929000011112222"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Logging is the process's: leave it as it was found."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:], root.level = handlers, level
    loguru.logger.remove()


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    def read() -> list[dict[str, Any]]:
        captured = capsys.readouterr()
        assert captured.out == ""
        return [json.loads(line) for line in captured.err.splitlines()]

    return read


def test_a_line_is_json_with_time_level_and_the_calls_id(lines: Lines) -> None:
    logs.configure("INFO")
    structlog.contextvars.bind_contextvars(call_id="c1")
    structlog.get_logger().info("call_started", carrier="local")
    (line,) = lines()
    assert line["event"] == "call_started"
    assert line["carrier"] == "local"
    assert line["call_id"] == "c1"
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("level", "written"),
    [("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)],
)
def test_what_is_less_severe_than_asked_is_not_written(
    lines: Lines, level: str, written: int
) -> None:
    logs.configure(level)
    log = structlog.get_logger()
    for severity in (log.debug, log.info, log.warning, log.error):
        severity("something")
    assert len(lines()) == written


@pytest.mark.parametrize("field", sorted(logs.TEXT_FIELDS))
def test_words_of_a_caller_are_only_counted(lines: Lines, field: str) -> None:
    logs.configure("INFO")
    structlog.get_logger().info("turn", **{field: WORDS})
    (line,) = lines()
    assert line[field] == f"<{len(WORDS)} characters>"


@pytest.mark.parametrize("field", sorted(logs.NUMBER_FIELDS))
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (NUMBER, "…61"),
        (DIGITS, "…22"),
        ("1234", "<4 digits>"),
        ("", "<0 digits>"),
        (7, "<1 digits>"),
    ],
)
def test_of_a_number_no_more_than_the_end_is_written(
    lines: Lines, field: str, value: object, shown: str
) -> None:
    logs.configure("INFO")
    structlog.get_logger().info("call", **{field: value})
    (line,) = lines()
    assert line[field] == shown


def test_the_fields_that_the_house_names_are_known() -> None:
    named = {"caller_text", "bot_text", "phone_from", "phone_to", "digits"}
    assert named <= logs.TEXT_FIELDS | logs.NUMBER_FIELDS
    assert not logs.TEXT_FIELDS & logs.NUMBER_FIELDS


def test_an_operator_may_ask_for_them(lines: Lines) -> None:
    logs.configure("INFO", private=True)
    structlog.get_logger().info("turn", caller_text=WORDS, phone_from=NUMBER)
    (line,) = lines()
    assert (line["caller_text"], line["phone_from"]) == (WORDS, NUMBER)


@given(
    st.dictionaries(
        st.sampled_from(sorted(logs.TEXT_FIELDS | logs.NUMBER_FIELDS)),
        st.one_of(st.text(min_size=7), st.integers(10**7, 10**12), st.lists(st.text(), min_size=3)),
    ),
    st.dictionaries(st.sampled_from(["call_id", "reason", "why"]), st.text()),
)
def test_whatever_the_value_the_marked_fields_are_masked(
    private: dict[str, Any], public: dict[str, Any]
) -> None:
    event = logs.redact(None, "info", {**private, **public})
    for field in private:
        assert event[field].startswith(("<", "…"))
        assert len(event[field]) <= 30
    assert {field: event[field] for field in public} == public


def test_pipecats_messages_are_left_out_but_where_they_came_from(lines: Lines) -> None:
    logs.configure("DEBUG")
    loguru.logger.debug(f"generating [{WORDS}]")
    loguru.logger.warning(f"could not say [{WORDS}] to {NUMBER}")
    try:
        raise CarrierError(f"{WORDS} {NUMBER}")
    except CarrierError:
        loguru.logger.exception(f"about {WORDS}")
    warned, failed = lines()
    assert (warned["event"], warned["level"]) == ("pipecat", "warning")
    assert warned["module"] == __name__
    assert warned["function"] == "test_pipecats_messages_are_left_out_but_where_they_came_from"
    assert warned["line"] > 0
    assert failed["error"] == "CarrierError"
    assert WORDS not in json.dumps([warned, failed])
    assert NUMBER not in json.dumps([warned, failed])


def test_loggers_of_libraries_take_the_same_shape(lines: Lines) -> None:
    logs.configure("INFO")
    logging.getLogger("aiohttp.server").info("not worth a line")
    logging.getLogger("aiohttp.server").error("cannot %s", "go on")
    (line,) = lines()
    assert line["event"] == "cannot go on"
    assert (line["logger"], line["level"]) == ("aiohttp.server", "error")


def test_a_library_fault_brings_its_trace(lines: Lines) -> None:
    logs.configure("INFO")
    try:
        raise CarrierError("gone")
    except CarrierError:
        logging.getLogger("asyncio").exception("a task failed")
    (line,) = lines()
    assert "CarrierError: gone" in line["exception"]


def test_configuring_twice_writes_once(lines: Lines) -> None:
    logs.configure("INFO")
    logs.configure("INFO")
    logging.getLogger("alembic").warning("once")
    loguru.logger.warning("once")
    assert len(lines()) == 2


def test_marked_fields_inside_others_are_masked(lines: Lines) -> None:
    logs.configure("INFO")
    inner = {"phone_from": NUMBER, "caller_text": WORDS, "kind": "booking", "at": [{"digits": 1}]}
    structlog.get_logger().info("note", fields=inner, notes=({"text": WORDS}, 5))
    (line,) = lines()
    assert line["fields"] == {
        "phone_from": "…61",
        "caller_text": f"<{len(WORDS)} characters>",
        "kind": "booking",
        "at": [{"digits": "<1 digits>"}],
    }
    assert line["notes"] == [{"text": f"<{len(WORDS)} characters>"}, 5]
    assert inner["phone_from"] == NUMBER  # what is logged is not ours to change


def test_what_goes_round_in_circles_is_cut(lines: Lines) -> None:
    logs.configure("INFO")
    circle: dict[str, Any] = {"caller_text": WORDS}
    circle["again"] = circle
    structlog.get_logger().info("note", fields=circle)
    assert WORDS not in json.dumps(lines())


def test_of_what_is_no_plain_data_only_the_type_is_written(lines: Lines) -> None:
    logs.configure("INFO")
    turn = CallOffer("twilio", "CA1", NUMBER, NUMBER)
    structlog.get_logger().info("odd", offer=turn, fault=ValueError(WORDS), path=Path("a"))
    (line,) = lines()
    assert (line["offer"], line["fault"], line["path"]) == ("<CallOffer>", "ValueError", "a")


def test_words_in_an_exception_are_not_written(lines: Lines) -> None:
    logs.configure("INFO")
    try:
        raise ValueError(f"cannot read {WORDS!r}")
    except ValueError:
        structlog.get_logger().exception("call_failed")
    (line,) = lines()
    assert WORDS not in json.dumps(line)
    assert line["exception"].endswith("\nValueError")
    assert "test_words_in_an_exception_are_not_written" in line["exception"]


def test_words_in_a_cause_or_a_group_are_not_written(lines: Lines) -> None:
    logs.configure("INFO")
    try:
        try:
            raise ExceptionGroup(WORDS, [ValueError(WORDS), ConnectionResetError(104, "reset")])
        except ExceptionGroup as error:
            error.add_note(WORDS)
            raise CarrierError("no line") from error
    except CarrierError:
        structlog.get_logger().exception("call_failed")
    (line,) = lines()
    assert WORDS not in json.dumps(line)
    cause, fault = line["exception"].split("  among them ")[0], line["exception"]
    assert "ExceptionGroup" in cause
    assert "among them ConnectionResetError: reset" in fault
    assert fault.endswith("CarrierError: no line")


async def test_a_task_that_nobody_awaits_tells_no_words(lines: Lines) -> None:
    logs.configure("INFO")

    async def fails() -> None:
        raise ValueError(WORDS)

    task = asyncio.create_task(fails())
    await asyncio.wait([task])
    fault = {"message": "Task exception was never retrieved", "exception": task.exception()}
    asyncio.get_running_loop().call_exception_handler({**fault, "future": task})
    (line,) = lines()
    assert line["event"] == "Task exception was never retrieved"
    assert WORDS not in json.dumps(line)


def test_an_operator_may_ask_for_exceptions_whole(lines: Lines) -> None:
    logs.configure("INFO", private=True)
    try:
        raise ValueError(WORDS)
    except ValueError:
        structlog.get_logger().exception("call_failed", fields={"caller_text": WORDS})
    (line,) = lines()
    assert line["exception"].endswith(f"ValueError: {WORDS}")
    assert line["fields"] == {"caller_text": WORDS}


@pytest.mark.parametrize("stream", ["full", "closed"])
def test_a_log_that_cannot_be_written_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    with open("/dev/full", "w", encoding="utf-8", buffering=1) as file:
        if stream == "closed":
            file.close()
        monkeypatch.setattr("sys.stderr", file)
        logs.configure("INFO")
        structlog.get_logger().info("call_started")
        logging.getLogger("aiohttp.server").error("something")
        with suppress(OSError):
            file.close()  # what waits in its buffer is written once more
