"""Amazon Polly: voices.

Set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN) and AWS_REGION. With
`api_key_env: null` the keys are those that AWS gives the machine (instance role, IRSA, profile).
Its models are Polly's engines: https://docs.aws.amazon.com/polly/latest/dg/voicelist.html.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import vendor
from telebot.providers.probing import listed
from telebot.providers.resources import Resources

if TYPE_CHECKING:
    from telebot.providers.polly_client import PollyClient

VENDOR = "POLLY"
TTS = "telebot.providers.polly_tts:PollyTTSService"
ENGINE = "neural"  # the more natural "generative" takes longer to begin
VOICE = "Joanna"
# of a wide line: the most of PCM that it gives
# (https://docs.aws.amazon.com/polly/latest/dg/API_SynthesizeSpeech.html)
WIDE: Mapping[str, Mapping[str, Any]] = {"tts": {"options": {"sample_rate": 16_000}}}
PAGES = 20


def build_tts(options: Mapping[str, Any], resources: Resources) -> Any:
    """`tts: polly`, or `{service: polly, model: generative, voice: Ruth, language: en-US}`."""
    engine = vendor.chosen(options, "model", ENGINE)
    return vendor.named(
        "tts",
        TTS,
        options,
        resources.environ,
        vendor=VENDOR,
        settings={"model": engine, "engine": engine, "voice": VOICE},
        given={"client": client(options, resources)},
    )


def client(options: Mapping[str, Any], resources: Resources) -> PollyClient:
    """The process's client for these keys and this region. Raises ProviderConfigError."""
    from telebot.providers.aws_keys import REGION, AwsKeys
    from telebot.providers.polly_client import PollyClient

    environ = resources.environ
    region = environ.get("AWS_REGION") or REGION
    url = options.get("base_url") or environ.get(f"{VENDOR}_BASE_URL") or None
    keys = dict(AwsKeys.of(options, environ, "polly").given)
    told_apart = hashlib.sha256(repr((region, url, sorted(keys.items()))).encode()).hexdigest()
    name = f"polly {told_apart[:16]}"
    return resources.kept(name, lambda: PollyClient(region, url, keys))


async def probe(_kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken, and the voice is there and speaks with the engine."""
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]
    from pipecat.utils.errors import ErrorCategory

    from telebot.providers.polly_client import FAILURES, category, refused

    try:
        voices = await voices_of(await client(options, resources).get())
    except ClientError as error:
        if category(error) in (ErrorCategory.AUTHENTICATION, ErrorCategory.AUTHORIZATION):
            raise ProviderConfigError(f"polly refuses the key ({refused(error).code})") from None
        raise refused(error) from None
    except FAILURES as error:
        raise ProviderError(f"polly cannot be asked ({type(error).__name__})") from None
    engine = vendor.chosen(options, "model", ENGINE)
    listed("polly", "model", engine, {each for voice in voices for each in _engines(voice)})
    voice = vendor.chosen(options, "voice", VOICE)
    listed("polly", "voice", voice, [str(each["Id"]) for each in voices])
    speaking = [str(each["Id"]) for each in voices if engine in _engines(each)]
    listed(f"polly's {engine} engine", "voice", voice, speaking)


async def voices_of(polly: Any) -> list[Mapping[str, Any]]:
    """All voices, page by page (https://docs.aws.amazon.com/polly/latest/dg/API_DescribeVoices.html)."""
    voices: list[Mapping[str, Any]] = []
    token: dict[str, str] = {}
    for _ in range(PAGES):
        answer = await polly.describe_voices(**token)
        voices += answer["Voices"]
        if not answer.get("NextToken"):
            break
        token = {"NextToken": answer["NextToken"]}
    return voices


def _engines(voice: Mapping[str, Any]) -> list[str]:
    return [str(each) for each in voice.get("SupportedEngines", ())]
