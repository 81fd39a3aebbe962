"""Every part's numbers are on the page that Prometheus reads."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from telebot.call.errors import ProviderError
from telebot.call.model import Call, CallOffer
from telebot.measures import measure, measure_pacing
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.pacing import Pacing, TurnedAway
from telebot.records.archive import Archive
from telebot.settings import Settings, VendorLimits
from telebot.speech.factory import Speech
from telebot.web.metrics import Metrics

pytestmark = pytest.mark.unit


def now() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


async def test_the_numbers_of_every_part_are_read(tmp_path: Path) -> None:
    settings, metrics, local = Settings(), Metrics(), LocalSpeech()
    archive = Archive(settings.records, tmp_path, clock=lambda: 0.0, now=now)
    speech = Speech(
        settings,
        {},
        admission=None,  # type: ignore[arg-type]
        call_log=archive.log,
        recorder=archive.recorder,
        clock=lambda: 0.0,
        wall_clock=now,
        transfer=lambda _: None,
    )
    measure(metrics, speech, local, archive)
    value = metrics.registry.get_sample_value
    assert value("telebot_records_waiting_rows") == 0
    archive.log.opened(Call("c", CallOffer("local", "CA1", "", ""), "echo", now()))
    archive.recorder.failed += 1
    assert value("telebot_records_waiting_rows") == 1
    assert value("telebot_recordings_failed_total") == 1
    with pytest.raises(ProviderError, match="not loaded"):
        _ = [clip async for clip in local.tts.stream("Hello.")]
    assert (value("telebot_tts_cache_hits_total"), value("telebot_tts_cache_misses_total")) == (
        0,
        1,
    )
    page = generate_latest(metrics.registry).decode()
    for name in (
        "stt_queue 0.0",
        "stt_queue_wait_seconds_sum 0.0",
        "stt_model_seconds_count 0.0",
        "tts_queue 0.0",
        "turn_model_asked_total 0.0",
        "turn_model_late_total 0.0",
        "turn_model_up 0.0",
        "records_lost_rows_total 0.0",
    ):
        assert f"\ntelebot_{name}\n" in page
    await archive.close()


async def test_what_waits_for_a_vendors_limit_is_read_by_vendor() -> None:
    metrics = Metrics()
    limits = {"acme": VendorLimits(requests_per_minute=2)}
    pacing = Pacing(limits, lambda: 0.0)
    measure_pacing(metrics, pacing)
    for key in ("one", "two"):
        line = pacing.of("acme/model", key)
        assert line is not None
        await line.slot("a", 0.0)
    value = metrics.registry.get_sample_value
    assert value("telebot_pacing_running", {"provider": "acme"}) == 2
    for _ in range(2):
        with suppress(TurnedAway):
            await line.slot("a", 0.0)
    assert value("telebot_pacing_turned_away_total", {"provider": "acme"}) == 1
    assert value("telebot_pacing_paced_total", {"provider": "acme"}) == 0
    assert value("telebot_pacing_waiting", {"provider": "acme"}) == 0
    assert value("telebot_pacing_waited_seconds_total", {"provider": "acme"}) == 0
