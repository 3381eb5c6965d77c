"""The Dockerfile against the project. Tests build no image: what can be held without an engine is held here."""

import asyncio
import email
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import typer.main
from dockerfile_parse import DockerfileParser
from dockerfile_parse.util import extract_key_values
from packaging.specifiers import SpecifierSet

from mediaserver import config
from mediaserver.cli.main import app
from mediaserver.config.environment import ENV_DELIMITER, ENV_PREFIX
from mediaserver.config.settings import Settings
from mediaserver.server.admin import console
from tests.project import ROOT
from tests.server.process import FREE_PORTS, ServerProcess, get, listen, listening, start, write_config
from tests.timing import UNIT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
INSTRUCTIONS = [
    (entry["instruction"], entry["value"])
    for entry in DockerfileParser(fileobj=BytesIO((ROOT / "Dockerfile").read_bytes())).structure
    if entry["instruction"] != "COMMENT"
]


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are the defaults, whatever this machine's environment says."""
    for variable in [name for name in os.environ if name.upper().startswith(ENV_PREFIX)]:
        monkeypatch.delenv(variable)


def stages() -> list[tuple[str, str | None, list[tuple[str, str]]]]:
    """Image, name and instructions of every stage."""
    found: list[tuple[str, str | None, list[tuple[str, str]]]] = []
    for instruction, value in INSTRUCTIONS:
        if instruction == "FROM":
            words = value.split()
            found.append((words[0], words[2] if len(words) == 3 else None, []))
        else:
            found[-1][2].append((instruction, value))
    return found


FINAL = stages()[-1][2]


def values(wanted: str) -> list[str]:
    """What an instruction says in the final stage, in order."""
    return [value for instruction, value in FINAL if instruction == wanted]


def only(wanted: str) -> str:
    """What an instruction says that stands once in the final stage."""
    (value,) = values(wanted)
    return value


def environment() -> dict[str, str]:
    """The variables of the final stage."""
    found: dict[str, str] = {}
    for value in values("ENV"):
        found.update(extract_key_values(env_replace=True, args={}, envs=found, instruction_value=value))
    return found


def copies() -> list[tuple[str | None, list[str], str]]:
    """Stage, sources and destination of every COPY."""
    found = []
    for instruction, value in INSTRUCTIONS:
        assert instruction != "ADD"
        if instruction == "COPY":
            words = value.split()
            flags = dict(word.removeprefix("--").split("=", 1) for word in words if word.startswith("--"))
            *sources, destination = [word for word in words if not word.startswith("--")]
            found.append((flags.get("from"), sources, destination))
    return found


def from_context() -> list[str]:
    """Every source that a COPY takes from the build context."""
    return [source for stage, sources, _ in copies() if stage is None for source in sources]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a file out: the last pattern decides that meets the file or its folder."""
    verdict = False
    lines = (line.strip() for line in (ROOT / ".dockerignore").read_text().splitlines())
    for line in lines:
        if line and not line.startswith("#"):
            pattern = _pattern(line.removeprefix("!").strip("/"))
            if any(pattern.fullmatch(str(part)) for part in (PurePosixPath(path), *PurePosixPath(path).parents)):
                verdict = not line.startswith("!")
    return verdict


def _pattern(glob: str) -> re.Pattern[str]:
    """Docker's patterns: `*` and `?` stay in one folder, `**` spans any number of them."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.findall(r"\*\*/|\*\*|\*|\?|\[[^]]+\]|.", glob)
    return re.compile("".join(parts.get(t) or (t if len(t) > 1 else re.escape(t)) for t in tokens))


def shipped_files(source: str) -> list[str]:
    """The files of a COPY source as the build context has them."""
    place = ROOT / source
    files = [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]
    names = (file.relative_to(ROOT).as_posix() for file in files)
    return [name for name in names if not ignored(name)]


def test_every_copied_source_exists_and_is_in_the_build_context() -> None:
    assert from_context()
    for source in from_context():
        assert (ROOT / source).exists(), source
        assert shipped_files(source), f"{source} is kept out by .dockerignore"


@pytest.mark.parametrize(("folder", "suffix"), [("mediaserver", ".py"), ("prompts", ".wav")])
def test_no_module_and_no_prompt_is_kept_out(folder: str, suffix: str) -> None:
    wanted = {file.relative_to(ROOT).as_posix() for file in (ROOT / folder).rglob(f"*{suffix}")}
    shipped = {name for source in from_context() for name in shipped_files(source)}
    assert wanted
    assert wanted <= shipped


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        "config.toml",
        ".env",
        "tests/test_container.py",
        "mediaserver/__pycache__/cli.cpython-313.pyc",
        "mediaserver/wire/__pycache__/rtp.cpython-313.pyc",
    ],
)
def test_what_is_local_stays_out_of_the_build_context(path: str) -> None:
    assert ignored(path)


def test_base_images_are_a_python_the_project_allows() -> None:
    allowed = SpecifierSet(PROJECT["requires-python"])
    names: set[str | None] = set()
    versions = set()
    for image, name, _ in stages():
        if image not in names:
            match = re.fullmatch(r"python:(\d+\.\d+)-slim", image)
            assert match, image
            versions.add(match[1])
            assert allowed.contains(f"{match[1]}.0"), image
        names.add(name)
    assert len(versions) == 1, "a venv moves between stages only where their Python is the same"


def test_stages_that_are_copied_from_stand_before() -> None:
    known: set[str] = set()
    used = []
    for _, name, instructions in stages():
        for instruction, value in instructions:
            match = re.search(r"--from=(\S+)", value) if instruction == "COPY" else None
            if match:
                used.append(match[1])
                assert match[1] in known, match[1]
        if name:
            known.add(name)
    assert used


def test_a_venv_keeps_its_path_between_stages() -> None:
    runs = " ".join(value for instruction, value in INSTRUCTIONS if instruction == "RUN")
    (((source,), destination),) = [(sources, to) for stage, sources, to in copies() if stage]
    assert source == destination
    assert re.search(rf"-m venv (?:--\S+ )*{re.escape(source)}(?: |$)", runs)
    assert f"{destination}/bin" in environment()["PATH"].split(":")


def requirement_files() -> list[str]:
    """What `pip install` is given by `-r`."""
    return [
        match[1]
        for instruction, value in INSTRUCTIONS
        if instruction == "RUN"
        for match in re.finditer(r"(?:-r|--requirement)[ =](\S+)", value)
    ]


def test_requirements_are_copied_before_they_are_installed() -> None:
    assert set(requirement_files()) == {f"requirements/{name}.txt" for name in ("build", "runtime", "speech")}
    assert set(requirement_files()) <= set(from_context())


def test_pip_installs_nothing_that_is_not_pinned_by_hash() -> None:
    commands = [
        command.strip()
        for instruction, value in INSTRUCTIONS
        if instruction == "RUN"
        for command in value.split("&&")
        if re.search(r"\bpip\b.*\b(install|wheel)\b", command)
    ]
    assert commands
    for command in commands:
        offline = "--no-deps" in command and ("--no-index" in command or "--no-build-isolation" in command)
        assert "--require-hashes" in command or offline, command


@pytest.mark.parametrize("name", requirement_files())
def test_every_requirement_is_pinned_by_hash(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert lines
    for line in lines:
        pinned = r"[\w.-]+(\[[^]]+\])?==\S+( ; [^#]*?)?(\s+--hash=sha256:[0-9a-f]{64})+"
        assert re.fullmatch(pinned, line), line[:80]


def test_the_build_backend_stays_in_the_builder() -> None:
    """It is installed into the builder's own Python, and only the venv goes on to the final stage."""
    commands = [command for _, value in INSTRUCTIONS for command in value.split("&&")]
    (backend,) = [command.strip() for command in commands if "-r requirements/build.txt" in command]
    (runtime,) = [command.strip() for command in commands if "-r requirements/runtime.txt" in command]
    venv = "".join(source for stage, sources, _ in copies() if stage for source in sources)
    assert backend.startswith("pip install ")
    assert runtime.startswith(f"pip --python {venv}/bin/python install ")
    assert not re.search(r"\bpip\b", " ".join(values("RUN")))
    assert "hatchling==" not in (ROOT / "requirements/runtime.txt").read_text()


def test_nothing_is_installed_from_the_system_s_archive() -> None:
    """What decodes prompts is in the environment, in the versions that are locked."""
    assert not [value for value in values("RUN") if "apt-get" in value]


def test_the_user_is_a_number_and_not_root() -> None:
    match = re.fullmatch(r"(\d+):(\d+)", values("USER")[-1])
    assert match
    assert int(match[1]) > 0
    assert int(match[2]) > 0
    created = " ".join(values("RUN"))
    assert f"useradd --uid {match[1]} --gid {match[2]} " in created
    assert f"groupadd --gid {match[2]} " in created


def test_the_exposed_ports_are_the_default_ports() -> None:
    defaults = Settings()
    assert [int(port) for port in only("EXPOSE").split()] == [defaults.server.port, defaults.admin.port]


def setting_variables() -> list[str]:
    """The variables of the image that are to be settings."""
    return [variable for variable in environment() if variable.startswith(ENV_PREFIX)]


@pytest.mark.parametrize("variable", setting_variables())
def test_the_variables_of_the_image_set_settings(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").touch()

    def setting() -> str:
        found: Any = config.load(tmp_path / "config.toml")[0]
        for name in variable.removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER):
            found = getattr(found, name)
        return str(found)

    wanted = environment()[variable]
    assert setting() != wanted, "the image sets what is the default already"
    monkeypatch.setenv(variable, wanted)
    assert setting() == wanted


def test_decoded_sound_is_kept_in_a_folder_of_the_user_s_unless_the_file_names_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in (name for name in environment() if name != "PATH"):
        monkeypatch.setenv(name, environment()[name])
    folder = Settings().prompts.cache_directory
    assert any(value.startswith("install ") and value.endswith(f" --mode=700 {folder}") for value in values("RUN"))
    (tmp_path / "config.toml").write_text('[prompts]\ncache = "/elsewhere"\n')
    settings, _ = config.load(tmp_path / "config.toml")
    assert settings.prompts.cache_directory == Path("/elsewhere")


def test_the_volume_is_the_prompt_folder_and_holds_the_shipped_prompts() -> None:
    folder = environment()["MEDIASERVER_PROMPTS__DIRECTORY"]
    assert only("VOLUME") == folder
    assert (["prompts"], folder) in [(sources, destination) for _, sources, destination in copies()]
    order = [instruction for instruction, value in FINAL if value.split()[-1] == folder]
    assert order == ["COPY", "VOLUME"], "what is copied after VOLUME is lost"


def test_a_config_file_in_the_working_directory_is_the_operators() -> None:
    folder = values("WORKDIR")[-1]
    assert PurePosixPath(folder).is_absolute()
    destinations = [PurePosixPath(to) for _, _, to in copies() if to.startswith("/")]
    assert not [to for to in destinations if to.is_relative_to(folder)]
    assert "MEDIASERVER_CONFIG" not in environment()


def test_the_process_is_a_real_command_and_gets_signals() -> None:
    entrypoint, command = json.loads(only("ENTRYPOINT")), json.loads(only("CMD"))  # JSON is the exec form
    assert len(entrypoint) == 1
    assert entrypoint[0] in PROJECT["scripts"]
    assert len(command) == 1
    commands = typer.main.get_command(app)
    assert command[0] in commands.commands  # type: ignore[attr-defined]
    assert only("STOPSIGNAL") == "SIGTERM"


@contextmanager
def answering(status: int) -> Iterator[tuple[int, list[str]]]:
    """A server on the loopback that gives one answer; its port, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()


def healthcheck() -> list[str]:
    """The image's own health check, as it stands."""
    flags, _, command = only("HEALTHCHECK").partition("CMD ")
    assert "--interval=" in flags
    argv = json.loads(command)
    assert isinstance(argv, list)
    return argv


def check_health(port: int, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run the image's health check by this interpreter."""
    python, *arguments = healthcheck()
    assert python == "python"
    variables = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**variables, "MEDIASERVER_ADMIN__PORT": str(port), **more},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_health_check_is_well_where_the_server_is() -> None:
    with answering(200) as (port, asked):
        done = check_health(port)
    assert (done.returncode, done.stderr) == (0, "")
    assert asked == ["/healthz"]


def test_the_health_check_asks_no_proxy() -> None:
    with answering(503) as (proxy, asked_proxy), answering(200) as (port, asked):
        done = check_health(port, http_proxy=f"http://127.0.0.1:{proxy}", no_proxy="")
    assert done.returncode == 0, done.stderr
    assert (asked_proxy, asked) == ([], ["/healthz"])


def test_the_health_check_is_unwell_where_the_server_says_so() -> None:
    with answering(503) as (port, asked):
        done = check_health(port)
    assert done.returncode == 1
    assert "503" in done.stderr
    assert asked == ["/healthz"]


def test_the_health_check_is_unwell_where_nothing_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take the port meanwhile
        done = check_health(taken.getsockname()[1])
    assert done.returncode == 1
    assert "ConnectionRefusedError" in done.stderr


def test_the_health_check_falls_back_to_the_default_port() -> None:
    assert f"'MEDIASERVER_ADMIN__PORT', '{Settings().admin.port}'" in healthcheck()[-1]


# In a mount namespace of its own, nothing at all can be written; then the image's user, or who we are.
READ_ONLY = """
set -e
for place in $(awk '{print $2}' /proc/mounts | sort -r); do
    mount -o remount,bind,ro "$place" 2>/dev/null || true
done
if touch "$0" 2>/dev/null; then exit 9; fi
exec "$@"
"""


@pytest.fixture
def read_only() -> list[str]:
    """What runs the command that follows it where nothing can be written."""
    command = ["unshare", "--map-root-user", "--mount", "--propagation", "private"]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("no namespaces for us here")
    return [*command, "sh", "-c", READ_ONLY]


async def test_it_speaks_and_recognises_where_nothing_can_be_written(tmp_path: Path, read_only: list[str]) -> None:
    for package in ("hibari", "pocketsphinx"):
        pytest.importorskip(package)
    config = write_config(
        tmp_path,
        '[paths."/say"]\nhandler = "say"\ntext = "Hello."\n[paths."/listen"]\nhandler = "recognise"\n',
    )
    serve = [sys.executable, "-m", "mediaserver", "serve", "--config", str(config)]
    variables = {
        "HOME": "/nonexistent",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "HIBARI_HOME": str(tmp_path / "voices"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with (tmp_path / "log").open("wb") as log:
        command = [*read_only, str(tmp_path / "touched"), *serve]
        process = subprocess.Popen(command, stderr=log, env=os.environ | variables)
    server = ServerProcess(process, tmp_path / "log")
    try:
        listening = await asyncio.to_thread(server.wait_for_event, "listening", 60)
        server.port, server.admin = listening["port"], listening["admin"]
        async with asyncio.timeout(60 * UNIT):
            while (await get(server.admin_url("/readyz")))[0] != 200:
                await asyncio.sleep(0.05)
        heard = await listen(server.url("/say"))
        assert heard.close_code == 1000
        assert any(map(any, heard.messages))
        assert all(line.startswith("{") for line in server.log_file.read_text().splitlines())
        assert not server.events("process wrote to stderr")
    finally:
        process.kill()
        process.wait()


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("no hadolint for this machine")
    done = subprocess.run(
        [hadolint, "--no-color", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def build_context(folder: Path) -> Path:
    """What the builder stage has before it builds, copied as its COPY instructions say."""
    for _, value in [entry for entry in stages()[0][2] if entry[0] == "COPY"]:
        *sources, destination = value.split()
        for source in sources:
            base = source if (ROOT / source).is_dir() else str(PurePosixPath(source).parent)
            for name in shipped_files(source):
                target = folder / destination / PurePosixPath(name).relative_to(base)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, target)
    return folder


def build_wheel(sources: Path, folder: Path) -> Path:
    """The wheel of a folder of sources."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("no build backend here")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, timeout=60 * UNIT, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.parametrize("where", ["project", "builder stage"])
def test_the_wheel_holds_every_module_the_console_script_the_licence_and_the_types(
    where: str, tmp_path: Path
) -> None:
    sources = ROOT if where == "project" else build_context(tmp_path / "src")
    wheel = build_wheel(sources, tmp_path / "dist")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = [name for name in names if name.endswith(".dist-info/entry_points.txt")]
        scripts = archive.read(entry_points).decode()
        (about,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(about))
        (licence,) = [archive.read(name) for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    modules = {file.relative_to(ROOT).as_posix() for file in (ROOT / "mediaserver").rglob("*.py")}
    assert modules == {name for name in names if name.endswith(".py")}
    for name, target in PROJECT["scripts"].items():
        assert f"{name} = {target}" in scripts.splitlines()
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Author"] == "The mediaserver developers"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert "mediaserver/py.typed" in names
    pages = {f"mediaserver/server/admin/console/{name}" for name in console.PATHS.values()}
    assert pages == {name for name in names if name.startswith("mediaserver/server/admin/console/")}
    samples = {name.removeprefix("mediaserver/_samples/") for name in names if "/_samples/" in name}
    prompts = {file.relative_to(ROOT).as_posix() for file in (ROOT / "prompts").rglob("*.wav")}
    assert samples == {"config.example.toml", *prompts}


def test_what_is_installed_can_begin_by_itself(tmp_path: Path) -> None:
    """From the image's own sources: a wheel, an environment of its own, `init`, `serve`, a call."""
    wheel = build_wheel(build_context(tmp_path / "src"), tmp_path / "dist")
    place, folder = tmp_path / "venv", tmp_path / "here"
    venv.create(place)
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin/python"), "install"]
    subprocess.run([*pip, "--quiet", "--no-deps", "--no-index", str(wheel)], timeout=60 * UNIT, check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))  # what it depends on
    folder.mkdir()

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [str(place / "bin/mediaserver"), *arguments]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60 * UNIT, check=False)

    done = run("init")
    assert (done.returncode, done.stderr, done.stdout.splitlines()[-1]) == (0, "", "next: mediaserver serve")
    serve = [str(place / "bin/mediaserver"), "serve"]
    with listening(start(serve, tmp_path / "log", folder, **FREE_PORTS)) as server:
        done = run("call", server.url("/audio-stream"), "--json")
        report = json.loads(done.stdout)
        assert (report["close_code"], report["bad_frames"]) == (1000, 0), done.stderr
