"""Every part's numbers are on the page that Prometheus reads."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from telebot.call.errors import ProviderError
from telebot.call.model import Call, CallOffer
from telebot.measures import measure, measure_registrations
from telebot.providers.failure import Cause, Failure
from telebot.providers.kept_voice import KeptVoice, Said
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.pacing import TurnedAway
from telebot.providers.resources import Resources
from telebot.records.archive import Archive
from telebot.settings import Settings, VendorLimits
from telebot.speech.chains import Chains
from telebot.speech.factory import Speech
from telebot.speech.transfers import Ways
from telebot.web.metrics import Metrics

pytestmark = pytest.mark.unit


def now() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


def speech_of(archive: Archive) -> Speech:
    return Speech(
        Settings(),
        {},
        admission=None,  # type: ignore[arg-type]
        call_log=archive.log,
        recorder=archive.recorder,
        clock=lambda: 0.0,
        wall_clock=now,
        ways=lambda _: Ways(None, None, lambda _: False, 0.0),
    )


async def test_the_numbers_of_every_part_are_read(tmp_path: Path) -> None:
    metrics, local = Metrics(), LocalSpeech()
    archive = Archive(Settings().records, tmp_path, clock=lambda: 0.0, now=now)
    kept = KeptVoice(None, memory_bytes=1 << 20, disk_bytes=0)
    kept.put("ann", "Hello.", Said(b"12345", ()))
    assert await kept.find(["ann"], "Hello.")
    chains = Chains(Resources(local, {}), lambda: 0.0, kept)
    chains.breakers.of("stt", "acme/one").failed(Failure(Cause.REFUSED))
    chains.breakers.of("llm", "acme/two").succeeded(0.25)
    measure(metrics, speech_of(archive), local, archive, chains)
    value = metrics.registry.get_sample_value
    one = {"kind": "stt", "provider": "acme/one"}
    two = {"kind": "llm", "provider": "acme/two"}
    assert (value("telebot_provider_up", one), value("telebot_provider_up", two)) == (0, 1)
    assert value("telebot_provider_failures_total", {**one, "cause": "refused"}) == 1
    assert value("telebot_provider_successes_total", two) == 1
    assert value("telebot_provider_latency_seconds", two) == 0.25
    assert value("telebot_records_waiting_rows") == 0
    assert value("telebot_kept_voice_hit_rate") == 1
    assert value("telebot_kept_voice_bytes") == kept.stats().size_bytes > 5
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


async def test_what_waits_for_a_vendors_limit_is_read_by_vendor(tmp_path: Path) -> None:
    metrics, local = Metrics(), LocalSpeech()
    archive = Archive(Settings().records, tmp_path, clock=lambda: 0.0, now=now)
    limits = {"acme": VendorLimits(requests_per_minute=2)}
    chains = Chains(Resources(local, {}), lambda: 0.0, pacing=limits)
    measure(metrics, speech_of(archive), local, archive, chains)
    for key in ("one", "two"):
        line = chains.pacing.of("acme/model", key)
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
    await archive.close()


def test_registrations_of_trunks_are_shown() -> None:
    metrics = Metrics()
    measure_registrations(metrics, lambda: {"office": True, "other": False})
    page = generate_latest(metrics.registry).decode()
    assert 'telebot_sip_registered{trunk="office"} 1.0' in page
    assert 'telebot_sip_registered{trunk="other"} 0.0' in page
