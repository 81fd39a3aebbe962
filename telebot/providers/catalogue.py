"""Any Pipecat service from a few lines of an agent's file, with its faults said in plain words.

Called by `registry.py` for a service given as an import string. Knows Pipecat 1.14's conventions:
a constructor with `api_key`, an address and `sample_rate`, and a `Settings` dataclass for the rest.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

from telebot.call.errors import ProviderConfigError

RATE_HZ = 8000
KINDS = {
    "stt": "pipecat.services.stt_service:STTService",
    "tts": "pipecat.services.tts_service:TTSService",
    "llm": "pipecat.services.llm_service:LLMService",
}
# voices that come at one rate whatever is asked; their frames must say so to be resampled
ONLY_RATE_HZ = {
    "pipecat.services.openai.tts": 24000,
    "pipecat.services.google.tts": 24000,
    "pipecat.services.mistral.tts": 24000,
    "pipecat.services.together.tts": 24000,
    "pipecat.services.groq.tts": 48000,
    "pipecat.services.hume.tts": 48000,
    "pipecat.services.gradium.tts": 48000,
}
SPEC_KEYS = ("api_key_env", "base_url", "settings", "options")
ADDRESSES = ("base_url", "url")
OURS = frozenset({"self", "api_key", "settings", "params", *ADDRESSES})


def near(word: str, known: Collection[str]) -> str:
    """'; did you mean …?' where one of `known` is close to `word`, else ''."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def build_vendor_service(
    kind: str, path: str, spec: Mapping[str, Any], environ: Mapping[str, str]
) -> object:
    """A new instance of the Pipecat service `path` (``module:Class``); nothing is connected.

    Of `spec`: `api_key_env` names the variable that holds the key (default ``<VENDOR>_API_KEY``;
    null: the service needs none), `base_url` the vendor's address (default ``<VENDOR>_BASE_URL``),
    `settings` go into the service's `Settings`, `options` to its constructor. Audio is asked for
    at 8 kHz unless `options.sample_rate` says otherwise. Raises ProviderConfigError.
    """
    check_known("key", spec, SPEC_KEYS, path)
    service = _load(kind, path)
    parameters = _parameters(service)
    options = _mapping(spec, "options", path)
    check_known("option", options, sorted(set(parameters) - OURS), path)
    vendor = _vendor(path)
    arguments: dict[str, Any] = {**_rate(path, parameters), **options}
    arguments |= _key(path, parameters, spec, vendor, environ)
    arguments |= _address(parameters, spec.get("base_url") or environ.get(f"{vendor}_BASE_URL", ""))
    settings = _mapping(spec, "settings", path)
    if settings:
        arguments["settings"] = _settings(service, settings, path)
    try:
        return service(**arguments)
    except ImportError as error:
        raise _missing_package(path, error) from error
    except (TypeError, ValueError) as error:
        raise ProviderConfigError(f"{path} refuses its configuration: {error}") from error


def check_known(what: str, given: Mapping[str, Any], known: Collection[str], path: str) -> None:
    """Raises ProviderConfigError for the first of `given` that is not `known`."""
    for name in given:
        if name not in known:
            raise ProviderConfigError(
                f"{path} has no {what} {str(name)!r}{near(str(name), known)}; "
                f"write one of: {', '.join(known) or 'none'}"
            )


def _load(kind: str, path: str) -> type[Any]:
    found = _import(path)
    base = _import(KINDS[kind])
    if not inspect.isclass(found) or not issubclass(found, base):
        raise ProviderConfigError(f"{path} is no {base.__name__}; speech.{kind} needs one")
    return found


def _import(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise ProviderConfigError(
                f"there is no module {module}; Pipecat's services are named like "
                "pipecat.services.deepgram.stt:DeepgramSTTService"
            ) from error
        raise _missing_package(path, error) from error
    except ImportError as error:
        raise _missing_package(path, error) from error
    except (TypeError, ValueError) as error:
        raise ProviderConfigError(f"{path!r} is no import string; write module:Class") from error
    if not hasattr(loaded, name):
        classes = [n for n, value in vars(loaded).items() if inspect.isclass(value)]
        raise ProviderConfigError(f"{module} has no {name!r}{near(name, classes)}")
    return getattr(loaded, name)


def _missing_package(path: str, error: ImportError) -> ProviderConfigError:
    vendor = _vendor(path).lower()
    return ProviderConfigError(
        f"{path} needs a package that is not installed ({error}); "
        f"write: pip install 'pipecat-ai[{vendor}]'"
    )


def _vendor(path: str) -> str:
    """DEEPGRAM of pipecat.services.deepgram.stt:DeepgramSTTService."""
    parts = path.partition(":")[0].split(".")
    return (
        parts[2] if parts[:2] == ["pipecat", "services"] and len(parts) > 2 else parts[0]
    ).upper()


def _parameters(service: type[Any]) -> dict[str, inspect.Parameter]:
    """What the constructor takes, with what it passes on to its bases as **kwargs."""
    found: dict[str, inspect.Parameter] = {}
    for owner in service.__mro__:
        if "__init__" not in vars(owner):
            continue
        signature = inspect.signature(vars(owner)["__init__"]).parameters
        for name, parameter in signature.items():
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                found.setdefault(name, parameter)
        if not any(p.kind is p.VAR_KEYWORD for p in signature.values()):
            break
    return found


def _mapping(spec: Mapping[str, Any], key: str, path: str) -> dict[str, Any]:
    value = spec.get(key) or {}
    if not isinstance(value, Mapping):
        raise ProviderConfigError(f"{path}: `{key}:` must hold `name: value` lines")
    return dict(value)


def _rate(path: str, parameters: Mapping[str, inspect.Parameter]) -> dict[str, int]:
    if "sample_rate" not in parameters:
        return {}
    return {"sample_rate": ONLY_RATE_HZ.get(path.partition(":")[0], RATE_HZ)}


def _key(
    path: str,
    parameters: Mapping[str, inspect.Parameter],
    spec: Mapping[str, Any],
    vendor: str,
    environ: Mapping[str, str],
) -> dict[str, str]:
    name = spec.get("api_key_env", f"{vendor}_API_KEY")
    if "api_key" not in parameters:
        return {}
    if not name:
        return {"api_key": "none"}
    if not environ.get(name):
        raise ProviderConfigError(
            f"{path} needs a key: set {name} in the environment, or write the variable's name as "
            "`api_key_env:` (null where the service needs no key)"
        )
    return {"api_key": environ[name]}


def _address(parameters: Mapping[str, inspect.Parameter], base_url: str) -> dict[str, str]:
    """`base_url` in the form of the constructor's own default: ws or http, with its path."""
    name = next((name for name in ADDRESSES if name in parameters), None)
    if not base_url or name is None:
        return {}
    default = parameters[name].default
    usual = urlsplit(default if isinstance(default, str) else "")
    given = urlsplit(base_url if "://" in base_url else f"https://{base_url}")
    if isinstance(default, str) and default and not usual.scheme:
        return {name: given.netloc + given.path.rstrip("/")}
    plain = given.scheme in ("http", "ws")
    scheme = given.scheme
    if usual.scheme in ("ws", "wss"):
        scheme = "ws" if plain else "wss"
    elif usual.scheme in ("http", "https"):
        scheme = "http" if plain else "https"
    path = given.path.rstrip("/") or usual.path
    return {name: urlunsplit((scheme, given.netloc, path, given.query, ""))}


def _settings(service: type[Any], given: Mapping[str, Any], path: str) -> Any:
    settings: Any = getattr(service, "Settings", None)
    if settings is None or not dataclasses.is_dataclass(settings):
        raise ProviderConfigError(f"{path} takes no settings; write them as `options:`")
    known = [field.name for field in dataclasses.fields(settings)]
    aliases: Mapping[str, str] = getattr(settings, "_aliases", {})
    check_known("setting", given, [*known, *aliases], path)
    make = cast("Callable[..., Any]", settings)
    return make(**{aliases.get(name, name): value for name, value in given.items()})
