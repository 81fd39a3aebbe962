"""The locks, the commands, the image and the Compose file agree with each other and the project."""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements-build.lock", "requirements.lock", "requirements-dev.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Markers of the lock are tried on the corners of what is supported.
ENVIRONMENTS = [
    {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.{patch}"}
    for minor, patch in [(11, 2), (11, 9), (12, 3), (13, 1)]
]


def locked(name: str) -> list[tuple[Requirement, list[str]]]:
    """Each requirement of a lock with its hashes (`sha256:` and 64 hex digits)."""
    text = re.sub(r"^\s*#.*\n?", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    entries = text.replace("\\\n", " ").splitlines()
    return [
        (Requirement(entry.split(" --hash", 1)[0]), re.findall(r"--hash=(\S+)", entry))
        for entry in entries
        if entry.strip()
    ]


def pins(name: str, environment: dict[str, str]) -> dict[str, Version]:
    """What a lock installs on one Python of this platform, by canonical name."""
    found: dict[str, Version] = {}
    for requirement, _ in locked(name):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            (specifier,) = requirement.specifier
            assert specifier.operator == "=="
            assert canonicalize_name(requirement.name) not in found, requirement.name
            found[canonicalize_name(requirement.name)] = Version(specifier.version)
    return found


def tracked_files() -> Iterator[Path]:
    """Files under version control, or none where this is not a checkout."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    yield from (ROOT / name for name in listing.stdout.split("\0") if name)


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_requirement_is_one_version_with_hashes(name: str) -> None:
    entries = locked(name)
    assert entries
    for requirement, hashes in entries:
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), requirement
        assert requirement.url is None
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), requirement


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_says_nothing_about_the_index_it_came_from(name: str) -> None:
    for line in (ROOT / name).read_text().splitlines():
        assert "://" not in line
        assert re.match(r"[A-Za-z0-9]|    --hash=sha256:|    #", line), line


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: e["python_full_version"])
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("requirements-build.lock", PROJECT["build-system"]["requires"]),
        ("requirements.lock", PROJECT["project"]["dependencies"]),
        ("requirements-dev.lock", PROJECT["project"]["dependencies"]),
        ("requirements-dev.lock", PROJECT["project"]["optional-dependencies"]["dev"]),
    ],
    ids=["build", "runtime", "dev-has-runtime", "dev"],
)
def test_the_locks_satisfy_the_project(
    name: str, wanted: list[str], environment: dict[str, str]
) -> None:
    pinned = pins(name, environment)
    for requirement in map(Requirement, wanted):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            version = pinned.get(canonicalize_name(requirement.name))
            assert version is not None, f"{requirement.name} is not in {name}: make lock"
            assert requirement.specifier.contains(version, prereleases=True), (
                f"{name} has {requirement.name} {version}, not {requirement.specifier}: make lock"
            )


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: e["python_full_version"])
def test_what_is_tested_is_what_is_served(environment: dict[str, str]) -> None:
    served = pins("requirements.lock", environment)
    tested = pins("requirements-dev.lock", environment)
    assert {name: tested.get(name) for name in served} == served


def test_set_up_and_project_support_the_same_pythons() -> None:
    script = (ROOT / ".ci" / "setup.sh").read_text()
    bounds = re.search(r"not \((\d), (\d+)\) <= sys\.version_info\[:2\] < \((\d), (\d+)\)", script)
    assert bounds is not None
    low, high = f"{bounds[1]}.{bounds[2]}", f"{bounds[3]}.{bounds[4]}"
    assert PROJECT["project"]["requires-python"] == f">={low},<{high}"


@pytest.mark.parametrize(
    "target", ["help", "setup", "run", "test", "soak", "lint", "bench", "lock", "clean"]
)
def test_make_has_the_target_and_explains_it(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^{target}:.*  ## \S+", makefile, re.MULTILINE)
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert target in phony.split()


@pytest.mark.parametrize("script", [".ci/run", ".ci/setup.sh", ".ci/peers.sh", ".ci/lint.sh"])
def test_scripts_are_executable_and_parse(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def test_the_procfile_starts_the_server_on_the_given_port() -> None:
    (line,) = (ROOT / "Procfile").read_text().splitlines()
    process, _, command = line.partition(": ")
    program, verb, option, address = shlex.split(Template(command).substitute(PORT="5000"))
    assert process == "web"
    assert program in PROJECT["project"]["scripts"]
    assert (verb, option, address) == ("serve", "--http", "0.0.0.0:5000")


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    return loaded


def test_the_compose_file_follows_the_compose_specification() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    spec = importlib.util.find_spec("check_jsonschema")
    if spec is None or spec.origin is None:
        pytest.skip("check-jsonschema is not installed")
    vendored = Path(spec.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    validator = jsonschema.Draft7Validator(json.loads(vendored.read_text()))
    assert [error.message for error in validator.iter_errors(compose())] == []
    broken = {"services": {"telebot": {"ports": 8080}}}
    assert list(validator.iter_errors(broken)), "the schema refuses nothing"


def test_compose_runs_the_server_without_privilege_and_for_this_machine_alone() -> None:
    (service,) = compose()["services"].values()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "privileged" not in service
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["env_file"] == [{"path": "telebot.env", "required": False}]
    assert {volume.partition(":")[0] for volume in service["volumes"]} == set(compose()["volumes"])


def test_compose_waits_longer_than_the_server_drains() -> None:
    settings = pytest.importorskip("telebot.settings")
    (service,) = compose()["services"].values()
    assert float(service["stop_grace_period"].removesuffix("s")) > settings.ServerSettings().drain_s


def dockerfile_instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile in order, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "docker" / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]  # type: ignore[misc]


def test_the_image_is_staged_hashed_and_not_root() -> None:
    instructions = dockerfile_instructions()
    stages = [index for index, (word, _) in enumerate(instructions) if word == "FROM"]
    assert len(stages) > 1
    final = dict(instructions[stages[-1] :])
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", final["USER"])
    assert final["STOPSIGNAL"] == "SIGTERM"
    assert "healthcheck.py" in final["HEALTHCHECK"]
    assert json.loads(final["ENTRYPOINT"]) + json.loads(final["CMD"]) == ["telebot", "serve"]
    assert not re.search(r"pip3? install|apt-get install", " ".join(a for _, a in instructions))


def test_what_the_image_copies_exists_and_reaches_the_builder() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = [pattern.removeprefix("!") for pattern in ignore if pattern.startswith("!")]
    for word, argument in dockerfile_instructions():
        if word == "COPY" and not argument.startswith("--from"):
            for source in argument.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert any(Path(source).match(pattern) for pattern in allowed), source


@pytest.mark.parametrize(
    ("listen", "asked"),
    [
        ("0.0.0.0:8080", ("127.0.0.1", 8080)),
        (":9000", ("127.0.0.1", 9000)),
        ("[::]:8080", ("::1", 8080)),
        ("10.1.2.3:80", ("10.1.2.3", 80)),
    ],
)
def test_the_health_check_asks_where_the_server_listens(
    listen: str, asked: tuple[str, int]
) -> None:
    path = ROOT / "docker" / "healthcheck.py"
    spec = importlib.util.spec_from_file_location("telebot_image_healthcheck", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.target(listen) == asked


# Written so that this file does not hold what it looks for.
MACHINE_PATH = re.compile(r"(?<![\w.~}/-])/(?:work|root|Users/\w+|home/\w+|tmp/\w{1,2})/")
INDEX_HOST = re.compile(
    r"(?:pypi|pythonhosted|test\.pypi)\.org|\.pkg\.dev\b|jfrog|/simple\b/?(?=[\s\"']|$)"
    r"|deb\.debian\.org|registry\.npmjs|(?:--(?:extra-)?index-url|--find-links)[ =]\S"
)


@pytest.mark.parametrize(
    ("pattern", "sample"),
    [
        (MACHINE_PATH, "cd /" + "work/main"),
        (MACHINE_PATH, "'/" + "home/ann/telebot'"),
        (INDEX_HOST, "https://" + "pypi" + ".org/simple"),
        (INDEX_HOST, "--index-" + "url https://mirror.example"),
    ],
)
def test_the_patterns_find_what_they_look_for(pattern: re.Pattern[str], sample: str) -> None:
    assert pattern.search(sample)


@pytest.mark.parametrize("pattern", [MACHINE_PATH, INDEX_HOST], ids=["path", "index"])
def test_no_tracked_file_names_a_machine_path_or_an_index(pattern: re.Pattern[str]) -> None:
    files = [path for path in tracked_files() if path.is_file() and path != Path(__file__)]
    if not files:
        pytest.skip("not a git checkout")
    found = []
    for path in files:
        data = path.read_bytes()
        if b"\0" in data[:8192]:
            continue
        for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
            if match := pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match[0]}")
    assert found == []
