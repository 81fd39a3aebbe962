"""The habits of the house, held to: sizes, names, one list of carriers and providers, directions.

Where a rule has exceptions they are named here, with the reason; a new one is a decision, not an
oversight.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from telebot.carriers.registry import CARRIERS
from telebot.providers.registry import PROVIDERS

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "telebot"
MODULES = {str(path.relative_to(ROOT)): path for path in sorted(PACKAGE.rglob("*.py"))}

MOST_LINES = 400
MOST_FUNCTION_LINES = 60
NOT_NAMES = re.compile(r"(?:^|_)(?:manager|helpers?|utils?|engine|handler2|misc)(?:_|$)")

# Where a task, a request or one call's share of something common ends: what fails there must not
# take the rest along. Each of them logs, but the doctor, who tells.
BOUNDARIES = {
    "telebot/doctor.py": "whatever a database driver raises is the finding",
    "telebot/records/recording.py": "one call's recording, in the thread of all",
    "telebot/providers/registry.py": "an added package's own code",
    "telebot/voice/filters.py": "an added package's own code, at the start",
    "telebot/voice/attempts.py": "one provider's work in a request, an added package's too",
    "telebot/sip/beats.py": "one call's beat in the beat of all",
    "telebot/sip/feeding.py": "the call's media task",
    "telebot/speech/effects.py": "the call's own task",
    "telebot/speech/vad.py": "one call's detector, in the inference of all",
    "telebot/speech/voice.py": "one call's voice, in the ticker of all",
    "telebot/sip/dispatch.py": "one wish of one call's, in the thread of all",
    "telebot/sip/live.py": "the call's task",
    "telebot/sip/media.py": "the call's task, where it puts the conversation away",
    "telebot/sip/transport.py": "one message of the network, in the thread of all",
    "telebot/web/errors.py": "a request's task",
    "telebot/web/hangups.py": "a hang-up's task",
    "telebot/web/media_stream.py": "the call's task",
    "telebot/speech/direct.py": "the task of a session that a vendor leads",
    "telebot/web/realtime/orders.py": "a session's own task, one of its client's orders at a time",
    "telebot/web/webhooks.py": "a webhook's task: the caller hears an apology",
}
# Words that are carriers' names and also plain words of the code.
PLAIN_CARRIERS = {"audiosocket", "local", "sip"}
# Names of vendors; ours (local, scripted) are plain words.
VENDORS = re.compile(
    r"\b(?:deepgram|openai|anthropic|elevenlabs|cartesia|groq|gemini|assemblyai|rime|playht|hume)\b"
)
# What we answer on a wire that a vendor has made everybody's.
SPEAKS_ANOTHERS_WIRE = ("telebot/api/voice/compatible.py", "telebot/providers/voice_servers.py")
READS_ENVIRONMENT = {
    "telebot/settings.py",
    "telebot/cli.py",  # hands it on to the benchmark's process
    "telebot/phone/sip_exchange.py",
    "telebot/phone/cli.py",  # another program's side, which has no settings
    "telebot/phone/environment.py",
    "telebot/phone/twilio_exchange.py",
}
# May say a carrier's name beside its own files and the registry.
MAY_NAME_CARRIER = (
    "telebot/carriers/ami.py",  # the manager interface of the PBX behind several carriers
    "telebot/carriers/fs_api.py",  # the commands of the switch behind several carriers
    "telebot/carriers/twiml.py",  # a language of its own, written by its maker's package
    "telebot/carriers/media_streams.py",  # the wire of several carriers, by whose page it is
    "telebot/phone/",  # the carrier's side of the wire
    "telebot/api/query.py",  # an example in a parameter's description
)


@cache
def trees() -> dict[str, ast.Module]:
    """Every module; parsed when asked for, not by each process that collects this one."""
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


@cache
def code() -> dict[str, ast.Module]:
    """A migration is a record of what once was: neither its size nor its names are chosen."""
    return {name: tree for name, tree in trees().items() if "/migrations/" not in name}


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@cache
def without_docs_and_comments(tree: ast.Module) -> str:
    """The code of a module as Python writes it again, docstrings left out."""
    tree = ast.parse(ast.unparse(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body[0] = ast.Pass()
    return ast.unparse(tree)


def broad_handlers(tree: ast.Module) -> list[ast.ExceptHandler]:
    """`except:`, `except Exception`, `except BaseException`, also as one of several."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            names = {kind.id for kind in kinds if isinstance(kind, ast.Name)}
            if node.type is None or names & {"Exception", "BaseException"}:
                found.append(node)
    return found


def swallows(handler: ast.ExceptHandler) -> bool:
    """The fault goes no further: nothing in the handler raises it again."""
    return not any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler))


def says(handler: ast.ExceptHandler) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr == "exception" for node in ast.walk(handler)
    )


# --- size --------------------------------------------------------------------------------------


def test_modules_are_of_a_size_to_read() -> None:
    lines = {name: len(path.read_text("utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: lines[name] for name in code() if lines[name] > MOST_LINES} == {}


def test_functions_are_of_a_size_to_read() -> None:
    long = {
        f"{module}:{function.name}": length
        for module, tree in code().items()
        for function in functions(tree)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > MOST_FUNCTION_LINES
    }
    assert long == {}


# --- names -------------------------------------------------------------------------------------


def test_names_say_what_a_thing_is() -> None:
    named = []
    for module, tree in code().items():
        classes = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        names = [re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower() for name in classes]
        names += Path(module).with_suffix("").parts
        named += [f"{module}: {name}" for name in names if NOT_NAMES.search(name)]
    assert named == []


def test_every_module_says_what_it_is_for() -> None:
    # an empty __init__.py is only there to be a package
    silent = [name for name, tree in trees().items() if tree.body and not ast.get_docstring(tree)]
    assert silent == []


# --- faults ------------------------------------------------------------------------------------


def test_every_fault_is_caught_by_its_name_but_at_a_boundary() -> None:
    for module, tree in code().items():
        swallowing = [handler for handler in broad_handlers(tree) if swallows(handler)]
        assert not swallowing or module in BOUNDARIES, (module, swallowing[0].lineno)
        for handler in swallowing:
            assert says(handler) or module == "telebot/doctor.py", (module, handler.lineno)


def test_what_is_undone_on_the_way_out_is_undone_by_an_exit_stack() -> None:
    """`ExitStack.pop_all` where it went well, instead of a handler for everything."""
    told = {"telebot/api/idempotency.py"}  # who waits for the same hears what stopped the first
    undoing = {module for module, tree in code().items() if broad_handlers(tree)} - set(BOUNDARIES)
    assert undoing == told


def test_every_boundary_is_one() -> None:
    assert [name for name in BOUNDARIES if not broad_handlers(trees()[name])] == []


def test_a_broad_handler_is_seen_in_every_spelling() -> None:
    source = "try: pass\nexcept {}: pass"
    for spelling in ("Exception", "BaseException", "Exception as e", "(ValueError, Exception)"):
        assert broad_handlers(ast.parse(source.format(spelling))), spelling
    assert broad_handlers(ast.parse("try: pass\nexcept: pass"))
    assert not broad_handlers(ast.parse(source.format("(ValueError, OSError)")))


# --- one list of carriers, one of providers ----------------------------------------------------


def may_name(module: str, carrier: str) -> bool:
    return (
        module == "telebot/carriers/registry.py"
        or module.startswith(f"telebot/carriers/{carrier}")
        or module.startswith(MAY_NAME_CARRIER)
    )


@pytest.mark.parametrize("carrier", sorted(set(CARRIERS) - PLAIN_CARRIERS))
def test_a_carriers_name_stands_in_its_own_file_and_the_registry_alone(carrier: str) -> None:
    named = {
        module
        for module, tree in code().items()
        if carrier in without_docs_and_comments(tree).lower() and not may_name(module, carrier)
    }
    assert named == set()


def test_vendors_names_stand_in_their_own_files_and_the_registries_alone() -> None:
    own = {entry.partition(":")[0] for kind in PROVIDERS.values() for entry in kind.values()}
    files = tuple(entry.replace(".", "/") for entry in own)
    named = {
        module
        for module, tree in code().items()
        if VENDORS.search(without_docs_and_comments(tree).lower())
        and module not in ("telebot/providers/registry.py", "telebot/providers/vendor.py")
        and not module.startswith((*files, "telebot/simulate/", *SPEAKS_ANOTHERS_WIRE))
    }
    assert named == set()


def test_what_the_registries_name_is_there_and_each_in_its_room() -> None:
    listed = [("carriers", entry) for entry in CARRIERS.values()]
    listed += [("providers", entry) for kind in PROVIDERS.values() for entry in kind.values()]
    for room, entry in listed:
        module, _, name = entry.partition(":")
        assert module.startswith(f"telebot.{room}."), entry
        tree = trees()[module.replace(".", "/") + ".py"]
        defined = {node.name for node in tree.body if hasattr(node, "name")}
        assert name in defined, entry


# --- directions --------------------------------------------------------------------------------


def test_imports_go_one_way() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


def imported(tree: ast.Module) -> set[str]:
    """The packages that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def test_the_core_knows_no_edge_no_pipeline_and_no_vendor() -> None:
    core = {name: tree for name, tree in code().items() if name.startswith("telebot/call/")}
    assert len(core) > 5
    outside = {"aiohttp", "pipecat", "twilio", "openai", "sqlalchemy", "onnxruntime"}
    assert {name for name, tree in core.items() if imported(tree) & outside} == set()


def test_the_environment_is_read_in_few_places() -> None:
    reading = {
        name
        for name, tree in code().items()
        if re.search(r"os\.(?:environ|getenv)", without_docs_and_comments(tree))
    }
    assert reading <= READS_ENVIRONMENT, reading - READS_ENVIRONMENT
