"""Writes `docs/settings.md` from the rows of the settings: `python -m telebot.settings_page`.

The server's rows and an agent's are in `settings.py`, a carrier's own in its file, found by way of
the registry; so a new row or carrier needs no word here. A test compares the page with this output.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from telebot.agent_settings import AgentCall, AgentIdentity, AgentSpeech
from telebot.auth_settings import Issuer
from telebot.carriers.registry import CARRIERS
from telebot.providers.registry import DEFAULTS, PROVIDERS
from telebot.settings import Row, Settings, VendorLimits, rows
from telebot.sip.trunks import Trunk, TrunkAuth, TrunkOutbound

INTRODUCTION = """\
# Settings

*Made by `.venv/bin/python -m telebot.settings_page > docs/settings.md`; a test compares the two.*

A value comes from the command line (`telebot serve`: `--http`, `--sip`, `--audiosocket`, `--data`),
else from the environment, else from `config/telebot.yaml` (another file by `--config`), else it is
the default. In the file the part before the dot is a group:

```yaml
server:
  max_calls: 200
  trusted_proxies: [10.0.0.0/8]
records:
  retention_days: 14
```

A name that is not known and a value that is not allowed are refused at the start, with file
and line (or the variable it came from) and what to write instead. `telebot doctor` checks a
configuration without taking a call.
"""

CARRIERS_TEXT = """\
A carrier without its credentials is off: it takes no calls, and `telebot doctor` says why. In the
file its settings stand under `carriers:` and its name.
"""

PACING_TEXT = """\
`PROVIDER` is a name of the [table below](#providers), or a name with a model as in a call's record:

```yaml
pacing:
  {tts}: {{concurrent: 10, characters_per_minute: 40000}}
  {llm}/MODEL: {{requests_per_minute: 500}}
```

A model with a row of its own is counted by that alone. More: [chains.md](chains.md#rate-limits).
"""

TRUNKS_TEXT = """\
Rows of `config/trunks.yaml`, in the folder `config_dir`; how to connect a PBX or a provider is told
in [carriers/sip.md](carriers/sip.md).
"""

AGENT_TEXT = """\
Rows of `config/agents/NAME.yaml`; what an agent says is told in [agents.md](agents.md). The number
called picks the agent (`config/numbers.yaml`, in the folder `config_dir`).
"""

PROVIDERS_TEXT = """\
`speech.stt`, `speech.llm` and `speech.tts` of an agent name a provider of this table, or several in
the order in which they are tried, or any service of Pipecat by its import string; what there is to
know of each is told in [providers.md](providers.md):

```yaml
speech:
  stt: [VENDOR, local]
  llm: {{service: VENDOR, model: MODEL}}
  tts:
    service: "pipecat.services.VENDOR.tts:CLASS"
    settings: {{voice: VOICE}}
```

| | providers by name |
|---|---|
{providers}

| key | meaning | default |
|---|---|---|
| `service` | a name, or `module:Class` of a Pipecat service | |
| `model`, `voice`, `language` | of a provider by name | [the vendor's](providers.md#vendors) |
| `api_key_env` | the variable that holds the key; `null`: no key needed | `<VENDOR>_API_KEY` |
| `base_url` | the vendor's address, http or ws | `<VENDOR>_BASE_URL`, else the vendor's own |
| `settings` | fields of the service's `Settings` (model, voice, language, …) | |
| `options` | arguments of its constructor | |
| `hedge_s` | of a model: when the next one is asked beside it | never |
| `start_s`, `first_s`, `stall_s` | deadlines, in seconds | [by kind](chains.md#deadlines) |

`<VENDOR>` is the name in capitals, of an import string its third part. A key itself never stands in
a file.
"""

HEAD = "| setting | default | allowed | unit | environment | meaning |\n|---|---|---|---|---|---|"
LIMITS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}"}


def page() -> str:
    """The whole page as Markdown."""
    parts = [INTRODUCTION, "## The server\n", _table(Settings)]
    parts += _groups(Settings)
    parts.append(f"## SIP trunks\n\n{TRUNKS_TEXT}")
    parts.append(_section("`trunks.NAME` of trunks.yaml", Trunk, "trunks.NAME."))
    parts.append(_section("`trunks.NAME.auth`", TrunkAuth, "trunks.NAME.auth."))
    parts.append(_section("`trunks.NAME.outbound`", TrunkOutbound, "trunks.NAME.outbound."))
    parts.append(f"## Carriers\n\n{CARRIERS_TEXT}")
    parts += [
        _section(f"`carriers.{carrier}`", model, f"carriers.{carrier}.")
        for carrier in CARRIERS
        for model in carrier_rows(carrier)
    ]
    parts.append(_section("`auth.oidc.NAME`", Issuer, "auth.oidc.NAME."))
    parts.append(_section("`pacing.PROVIDER`", VendorLimits, "pacing.PROVIDER."))
    parts.append(PACING_TEXT.format(tts=DEFAULTS["tts"][0], llm=DEFAULTS["llm"][0]))
    parts.append(f"## Agents\n\n{AGENT_TEXT}")
    for group, model in (("agent", AgentIdentity), ("speech", AgentSpeech), ("call", AgentCall)):
        parts.append(_section(f"`{group}:` of an agent", model, f"{group}."))
    parts.append("### Providers\n\n" + PROVIDERS_TEXT.format(providers=_providers()))
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def carrier_rows(carrier: str) -> Iterator[type[Row]]:
    """The groups of settings that a carrier's own file defines; most have one or none."""
    module = import_module(CARRIERS[carrier].partition(":")[0])
    for value in vars(module).values():
        if _is_group(value) and issubclass(value, Row) and value.__module__ == module.__name__:
            yield value


def _providers() -> str:
    ours = {kind: sorted(names) for kind, names in PROVIDERS.items()}
    ours["llm"].insert(0, "dialog")
    return "\n".join(
        f"| `speech.{kind}` | {', '.join(_code(name) for name in names)} |"
        for kind, names in sorted(ours.items())
    )


def _groups(model: Any, prefix: str = "") -> Iterator[str]:
    """Each group of settings, those inside it behind it."""
    for name, info in model.model_fields.items():
        if _is_group(info.annotation):
            yield _section(f"`{prefix}{name}`", info.annotation, f"{prefix}{name}.")
            yield from _groups(info.annotation, f"{prefix}{name}.")


def _section(title: str, model: Any, prefix: str) -> str:
    about = inspect.cleandoc(model.__doc__ or "").partition("\n")[0]
    return f"### {title}\n\n{about}\n\n{_table(model, prefix)}"


def _table(model: type[BaseModel], prefix: str = "") -> str:
    """Its own rows; groups within it have a table of theirs."""
    lines = [HEAD]
    for name, default, unit, env, help_line in rows(model):
        if "." in name:
            continue
        cells = [
            _code(prefix + name),
            _code(default),
            _allowed(model.model_fields[name]),
            unit,
            _code(env),
            help_line.replace("|", "\\|"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _allowed(info: FieldInfo) -> str:
    choices = [
        choice
        for kind in (info.annotation, *get_args(info.annotation))
        if get_origin(kind) is Literal
        for choice in get_args(kind)
    ]
    if choices:
        return ", ".join(_code(str(choice)) for choice in choices)
    limits = [
        text.format(f"{getattr(limit, name):,}".replace(",", " "))
        for limit in info.metadata
        for name, text in LIMITS.items()
        if hasattr(limit, name)
    ]
    return ", ".join(limits)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _is_group(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, BaseModel)


if __name__ == "__main__":
    sys.stdout.write(page())
