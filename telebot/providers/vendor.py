"""Any Pipecat service from a few lines of an agent's file, with its faults said in plain words.

Called by `registry.py` for a service given as an import string, and by the vendors' own files
(`named`). Knows Pipecat 1.14's conventions: a constructor with `api_key`, an address and
`sample_rate`, and a `Settings` dataclass for the rest.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

from telebot.call.errors import ProviderConfigError

RATE_HZ = 8000
WIDE_HZ = {"stt": 16_000, "tts": 24_000}
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
SHORT_KEYS = ("model", "voice", "language")  # of a vendor by name: settings that everyone sets
KEYS = (*SHORT_KEYS, *SPEC_KEYS)
MODEL_KEYS = ("model", "api_key_env", "base_url")  # for work that is no call
VOICE_KEYS = (*MODEL_KEYS, "voice")
ADDRESSES = ("base_url", "url")
OURS = frozenset({"self", "api_key", "settings", "params", *ADDRESSES})


def near(word: str, known: Collection[str]) -> str:
    """'; did you mean …?' where one of `known` is close to `word`, else ''."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def named(
    kind: str,
    path: str,
    spec: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    vendor: str,
    settings: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    given: Mapping[str, Any] | None = None,
) -> Any:
    """A service of a vendor that has a file of its own, which gives the defaults.

    `spec` is what the agent's file says: `model`, `voice` and `language` beside the keys of
    `build_vendor_service`. `vendor` (``DEEPGRAM``) begins the names of its variables. `settings`
    and `options` are the file's defaults; what `spec` says goes before them. `given` goes to the
    constructor as it is (a shared HTTP client). Raises ProviderConfigError.
    """
    check_known("key", spec, KEYS, vendor.lower())
    short = {name: spec[name] for name in SHORT_KEYS if spec.get(name) is not None}
    full = {
        **{name: spec[name] for name in ("api_key_env", "base_url") if name in spec},
        "settings": {**(settings or {}), **short, **_mapping(spec, "settings", path)},
        "options": {**(options or {}), **_mapping(spec, "options", path)},
    }
    return build_vendor_service(kind, path, full, environ, vendor=vendor, given=given)


def chosen(spec: Mapping[str, Any], name: str, default: str | None = None) -> str | None:
    """What `spec` says for a short key (`model`, `voice`, `language`), or the vendor's default."""
    value = spec.get(name) or (spec.get("settings") or {}).get(name)
    return str(value) if value else default


def vendor_key(spec: Mapping[str, Any], environ: Mapping[str, str], vendor: str) -> str:
    """The key of `vendor` (``DEEPGRAM``): of the variable named by `api_key_env`, else of
    ``<VENDOR>_API_KEY``; "none" where the file says null. Raises ProviderConfigError."""
    name = spec.get("api_key_env", f"{vendor}_API_KEY")
    if not name:
        return "none"
    if not environ.get(name):
        raise ProviderConfigError(
            f"{vendor.lower()} needs a key: set {name} in the environment, or write the variable's "
            "name as `api_key_env:` (null where the service needs no key)"
        )
    return environ[name]


def vendor_url(
    spec: Mapping[str, Any], environ: Mapping[str, str], vendor: str, default: str
) -> str:
    """Where `vendor` is: the file's `base_url`, else ``<VENDOR>_BASE_URL``, in the scheme of
    `default` (http or ws, secure or not as given) and with its path where the given one has none.
    """
    given = str(spec.get("base_url") or environ.get(f"{vendor}_BASE_URL", ""))
    return like(default, given) if given else default


def access(
    spec: Mapping[str, Any], environ: Mapping[str, str], vendor: str, default: str
) -> tuple[str, str]:
    """The key of `vendor_key`, and the address of `vendor_url`. Raises ProviderConfigError."""
    return vendor_key(spec, environ, vendor), vendor_url(spec, environ, vendor, default)


def build_vendor_service(
    kind: str,
    path: str,
    spec: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    vendor: str | None = None,
    given: Mapping[str, Any] | None = None,
    wide: bool = False,
) -> Any:
    """A new instance of the Pipecat service `path` (``module:Class``); nothing is connected.

    Of `spec`: `api_key_env` names the variable that holds the key (default ``<VENDOR>_API_KEY``;
    null: the service needs none), `base_url` the vendor's address (default ``<VENDOR>_BASE_URL``),
    `settings` go into the service's `Settings`, `options` to its constructor. Audio is asked for
    at 8 kHz, of a `wide` line at more, unless `options.sample_rate` says otherwise. Raises
    ProviderConfigError.
    """
    check_known("key", spec, SPEC_KEYS, path)
    service = _load(kind, path)
    parameters = _parameters(service)
    options = _mapping(spec, "options", path)
    check_known("option", options, sorted(set(parameters) - OURS), path)
    vendor = vendor or vendor_of(path)
    rate_hz = WIDE_HZ.get(kind, RATE_HZ) if wide else RATE_HZ
    arguments: dict[str, Any] = {**_rate(path, parameters, rate_hz), **options, **(given or {})}
    arguments |= _key(parameters, spec, vendor, environ)
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


def widened(options: Mapping[str, Any], by: Mapping[str, Any]) -> dict[str, Any]:
    """What a spec says with what makes its service hear, or speak, a wide line; its own words go
    before them."""
    whole, own = {**by, **options}, options.get("options") or {}
    if "options" in by and isinstance(own, Mapping):
        whole["options"] = {**by["options"], **own}
    return whole


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
    vendor = vendor_of(path).lower()
    return ProviderConfigError(
        f"{path} needs a package that is not installed ({error}); "
        + to_install(f"'pipecat-ai[{vendor}]'")
    )


def to_install(package: str) -> str:
    """What to write to have a package beside this server: its environment has no pip of its own."""
    return f"write: python3 -m pip --python {sys.executable} install {package}"


def vendor_of(path: str) -> str:
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


def _rate(path: str, parameters: Mapping[str, inspect.Parameter], rate_hz: int) -> dict[str, int]:
    if "sample_rate" not in parameters:
        return {}
    return {"sample_rate": ONLY_RATE_HZ.get(path.partition(":")[0], rate_hz)}


def _key(
    parameters: Mapping[str, inspect.Parameter],
    spec: Mapping[str, Any],
    vendor: str,
    environ: Mapping[str, str],
) -> dict[str, str]:
    if "api_key" not in parameters:
        return {}
    return {"api_key": vendor_key(spec, environ, vendor)}


def _address(parameters: Mapping[str, inspect.Parameter], base_url: str) -> dict[str, str]:
    """`base_url` in the form of the constructor's own default: ws or http, with its path."""
    name = next((name for name in ADDRESSES if name in parameters), None)
    if not base_url or name is None:
        return {}
    default = parameters[name].default
    return {name: like(default if isinstance(default, str) else "", base_url)}


def like(usual: str, given: str) -> str:
    """The address `given` in the form of `usual`: its scheme's kind (ws or http, or none at all),
    and its path where `given` has none."""
    shape = urlsplit(usual)
    parts = urlsplit(given if "://" in given else f"https://{given}")
    if usual and not shape.scheme:
        return parts.netloc + parts.path.rstrip("/")
    plain = parts.scheme in ("http", "ws")
    scheme = parts.scheme
    if shape.scheme in ("ws", "wss"):
        scheme = "ws" if plain else "wss"
    elif shape.scheme in ("http", "https"):
        scheme = "http" if plain else "https"
    path = parts.path.rstrip("/") or shape.path
    return urlunsplit((scheme, parts.netloc, path, parts.query, ""))


def _settings(service: type[Any], given: Mapping[str, Any], path: str) -> Any:
    settings: Any = getattr(service, "Settings", None)
    if settings is None or not dataclasses.is_dataclass(settings):
        raise ProviderConfigError(f"{path} takes no settings; write them as `options:`")
    known = [field.name for field in dataclasses.fields(settings)]
    aliases: Mapping[str, str] = getattr(settings, "_aliases", {})
    check_known("setting", given, [*known, *aliases], path)
    make = cast("Callable[..., Any]", settings)
    return make(**{aliases.get(name, name): value for name, value in given.items()})
