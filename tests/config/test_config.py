"""Settings from a file, the environment, and both; and what is said when they are wrong."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from mediaserver import config
from mediaserver.cli.findings import collect_findings
from mediaserver.config.fields import Table
from mediaserver.config.settings import PromptSettings, Settings
from mediaserver.errors import ConfigError, RefusedError
from mediaserver.handlers.bridge import Bridge
from mediaserver.handlers.table import HANDLERS
from mediaserver.routing import route_builder
from mediaserver.routing.configuration import Configuration
from mediaserver.runtime.disk_caches import open_library
from tests.handlers.test_handlers import library_of
from tests.project import ROOT
from tests.sound import speechlike, write_wav

EXAMPLE = ROOT / "config.example.toml"


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def right(loaded: tuple[Settings, list[str]]) -> Settings:
    """Settings with which nothing is wrong."""
    settings, found = loaded
    assert found == []
    return settings


def load(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "config.toml").write_text(text)
    return right(config.load(tmp_path / "config.toml"))


def problems(tmp_path: Path, text: str) -> list[str]:
    """What is wrong, without the file's own name."""
    (tmp_path / "config.toml").write_text(text)
    _, found = config.load(tmp_path / "config.toml")
    return [problem.replace(f"{tmp_path}/", "") for problem in found]


def test_without_a_file_the_defaults_are_the_examples_paths() -> None:
    settings, example = right(config.load()), right(config.load(EXAMPLE))
    assert settings.paths == example.paths
    assert settings.model_dump(exclude={"prompts"}) == example.model_dump(exclude={"prompts"})
    assert settings.prompts.directory == Path("prompts")
    assert example.prompts.directory == EXAMPLE.parent / "prompts"


def test_config_toml_of_the_working_directory_is_read_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[server]\nport = 9999\n")
    assert right(config.load()).server.port == 9999


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIASERVER_SERVER__PORT", "9000")
    monkeypatch.setenv("mediaserver_prompts__directory", "/elsewhere")
    settings = load(tmp_path, '[server]\nport = 8000\nhost = "::1"\n[prompts]\ndirectory = "here"\n')
    assert (settings.server.port, settings.server.host) == (9000, "::1")
    assert settings.prompts.directory == Path("/elsewhere")


def test_variables_that_are_not_ours_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes sets most of these for services named `mediaserver` and `mediaserver-admin`."""
    for variable, text in {
        "MEDIASERVER_PORT": "tcp://10.0.0.1:8080",
        "MEDIASERVER_SERVICE_HOST": "10.0.0.1",
        "MEDIASERVER_SERVICE_PORT": "8080",
        "MEDIASERVER_SERVICE_PORT_MEDIA__TLS": "8443",
        "MEDIASERVER_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "MEDIASERVER_PORT_8080_TCP_ADDR": "10.0.0.1",
        "MEDIASERVER_PORT_8080_TCP_PORT": "8080",
        "MEDIASERVER_PORT_8080_TCP_PROTO": "tcp",
        "MEDIASERVER_ADMIN_PORT": "tcp://10.0.0.2:8081",
        "MEDIASERVER_ADMIN_SERVICE_HOST": "10.0.0.2",
        "_MEDIASERVER_COMPLETE": "complete_bash",
    }.items():
        monkeypatch.setenv(variable, text)
    assert right(config.load()).server.port == 8080


def test_a_variable_that_holds_a_secret_of_ours_is_no_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIASERVER_TOKEN", "s3cret")
    monkeypatch.setenv("MEDIASERVER_BOT", "s3cret")
    monkeypatch.setenv("MEDIASERVER_DEFAULTS__TOKENS", '["env:MEDIASERVER_TOKEN"]')
    load(tmp_path, '[paths."/bot"]\nhandler = "bridge"\nurl = "ws://a/"\ntoken = "env:MEDIASERVER_BOT"\n')


def test_the_prompt_folder_is_relative_to_the_file(tmp_path: Path) -> None:
    assert load(tmp_path, '[prompts]\ndirectory = "sounds"\n').prompts.directory == tmp_path / "sounds"
    assert load(tmp_path, '[prompts]\ndirectory = "/sounds"\n').prompts.directory == Path("/sounds")


def test_options_of_the_command_line_override() -> None:
    settings = right(config.load()).override("server", host="::", port=None)
    assert (settings.server.host, settings.server.port) == ("::", 8080)


def test_all_mistakes_are_reported_at_once_each_with_its_key(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        """
        [sevrer]
        port = 1
        [server]
        port = 70000
        prot = 1
        [prompts]
        memory_limit = "lots"
        [defaults]
        framing = "tcp"
        [paths."/a"]
        prompt = "x"
        """,
    ) == [
        "config.toml: server.port: should be 65535 or less (it is 70000)",
        'config.toml: server.prot: unknown setting (did you mean "port"?)',
        "config.toml: prompts.memory_limit: should be a whole number (it is 'lots')",
        'config.toml: defaults.framing: should be "auto", "pcm" or "message" (it is \'tcp\')',
        'config.toml: paths."/a": handler is missing',
        'config.toml: sevrer: unknown setting (did you mean "server"?)',
    ]


def test_settings_beside_a_mistake_are_validated_too(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        """
        prots = 1
        [server]
        port = "x"
        max_streams = 7
        [paths."/wrong"]
        framing = "tcp"
        handler = "silence"
        [paths."/right"]
        handler = "silence"
        """
    )
    settings, found = config.load(tmp_path / "config.toml")
    assert len(found) == 3
    assert (settings.server.port, settings.server.max_streams) == (8080, 7)
    assert {path: table.framing for path, table in settings.paths.items()} == {"/wrong": None, "/right": None}


def test_mistakes_in_variables_are_told_by_their_names_and_hide_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIASERVER_SERVER__PORT", "http")
    monkeypatch.setenv("MEDIASERVER_SERVR__PORT", "80")
    monkeypatch.setenv("MEDIASERVER_PATHS", '{"/env": {"prompt": "x"}, "/b": {"handler": "tone", "tone": "nope"}}')
    wrong, log, missing, unknown = problems(tmp_path, '[server]\nport = 1\n[log]\nlevel = "loud"\n')
    assert wrong == "MEDIASERVER_SERVER__PORT: server.port: should be a whole number (it is 'http')"
    assert log.startswith("config.toml: log.level: should be ")
    assert missing == 'MEDIASERVER_PATHS: paths."/env": handler is missing'
    assert unknown == "MEDIASERVER_SERVR__PORT: unknown setting (did you mean MEDIASERVER_SERVER__PORT?)"
    settings, _ = config.load(tmp_path / "config.toml")
    (problem,) = route_builder.build_routes(settings, "config.toml")[1]
    assert problem.startswith('MEDIASERVER_PATHS: paths."/b": tone: no tone "nope"')


def test_a_whole_table_may_be_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIASERVER_PROMPTS", '{"directory": "here"}')
    monkeypatch.setenv("MEDIASERVER_SERVER", '{"prt": 1}')
    there = '[prompts]\ndirectory = "there"\n'
    assert problems(tmp_path, there) == ['MEDIASERVER_SERVER: server.prt: unknown setting (did you mean "port"?)']
    monkeypatch.delenv("MEDIASERVER_SERVER")
    assert right(config.load(tmp_path / "config.toml")).prompts.directory == Path("here")


@pytest.mark.parametrize(
    ("variable", "text", "hint"),
    [
        ("MEDIASERVER_DEFAULTS_TOKENS", '["s3cret"]', " (did you mean MEDIASERVER_DEFAULTS__TOKENS?)"),
        ("MEDIASERVER_SERVER_PORT", "80", " (did you mean MEDIASERVER_SERVER__PORT?)"),
        ("MEDIASERVER_PORT", "80", " (did you mean MEDIASERVER_SERVER__PORT?)"),
        ("MEDIASERVER_TOKENS", "s3cret", " (did you mean MEDIASERVER_DEFAULTS__TOKENS?)"),
        ("MEDIASERVER_CONFG", "s3cret", " (did you mean MEDIASERVER_CONFIG?)"),
        ("MEDIASERVER_T", "s3cret", ""),
        ("MEDIASERVER_ADMIN__TOKN", "s3cret", " (did you mean MEDIASERVER_ADMIN__TOKEN?)"),
        ("mediaserver_speech__openai_url", "http://s3cret", " (did you mean MEDIASERVER_SPEECH__OPENAI__URL?)"),
        ("MEDIASERVER_SERVER__PORT__X", "80", " (did you mean MEDIASERVER_SERVER__PORT?)"),
        ("MEDIASERVER_QUUX", "1", ""),
        ("MEDIASERVER_QUUX", "tcp://10.0.0.1:80", ""),
        ("MEDIASERVER_", "1", ""),
    ],
)
def test_a_variable_like_ours_that_is_no_setting_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, hint: str
) -> None:
    monkeypatch.setenv(variable, text)
    assert config.load()[1] == [f"{variable}: unknown setting{hint}"]


def test_a_value_in_place_of_a_table_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIASERVER_SERVER__PORT", "9000")  # or it would hide the mistake
    assert problems(tmp_path, "server = 5\n") == ["config.toml: server: is a table, [server]"]


@pytest.mark.parametrize("value", ["null", "[]", "3"])
@pytest.mark.parametrize("table", ["PATHS", "SERVER"])
def test_a_variable_of_a_table_must_be_one(monkeypatch: pytest.MonkeyPatch, table: str, value: str) -> None:
    monkeypatch.setenv(f"MEDIASERVER_{table}", value)
    (problem,) = config.load(None)[1]
    assert problem.startswith(f"MEDIASERVER_{table}: {table.lower()}: should be a table")


def test_only_lists_and_tables_must_be_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIASERVER_SERVER__HOST", "127.0.0.1")
    monkeypatch.setenv("MEDIASERVER_CONFIG", "config.toml")
    monkeypatch.setenv("MEDIASERVER_DEFAULTS__TOKENS", "a token")
    monkeypatch.setenv("MEDIASERVER_PATHS", "{bad")
    why = 'should be JSON where it is a list or a table, such as ["a", "b"] or {"9000": "/audio-stream"}'
    settings, found = config.load()
    assert found == [f"MEDIASERVER_DEFAULTS__TOKENS: {why}", f"MEDIASERVER_PATHS: {why}"]
    assert settings.server.host == "127.0.0.1"


def test_a_part_of_a_table_may_be_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIASERVER_AUDIOSOCKET__PORTS__9001", "/b")
    monkeypatch.setenv("MEDIASERVER_CHAT__PARAMETERS__TEMPERATURE", "0.5")
    settings = load(tmp_path, '[audiosocket]\nports = { 9000 = "/a" }\n[chat]\nparameters = { top_p = 1 }\n')
    assert settings.audiosocket.ports == {9000: "/a", 9001: "/b"}
    assert settings.chat.parameters == {"top_p": 1, "temperature": 0.5}


def test_a_file_that_is_no_toml_or_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml: is not TOML: .* line 1"):
        problems(tmp_path, "[server\nport = 1")
    with pytest.raises(ConfigError, match=r"missing\.toml: cannot be read: No such file or directory"):
        config.load(tmp_path / "missing.toml")


def route_problems(tmp_path: Path, text: str) -> list[str]:
    return route_builder.build_routes(load(tmp_path, text), "config.toml")[1]


def test_mistakes_in_paths_are_told_at_once_too(tmp_path: Path) -> None:
    assert route_problems(
        tmp_path,
        """
        [paths."nope"]
        handler = "silence"
        [paths."/a"]
        handler = "playbak"
        [paths."/b"]
        handler = "playback"
        promt = "welcome"
        [paths."/c/{name}"]
        handler = "playback"
        prompt = "{prompt}"
        [paths."/d/{tone}"]
        handler = "tone"
        tone = "{tone}"
        country = "atlantis"
        level = 99
        [paths."/e/{x"]
        handler = "silence"
        [paths."/f?a=b"]
        handler = "silence"
        [paths."/c/{other}"]
        handler = "silence"
        """,
    ) == [
        'config.toml: paths."nope": a path begins with /, as in [paths."/nope"]',
        'config.toml: paths."/a".handler: no handler "playbak" (did you mean "playback"?): '
        "playback, say, hold-music, tone, silence, noise, record, echo, menu, analyse, bridge, recognise, "
        "assistant, or module:Class",
        'config.toml: paths."/b": promt: unknown setting (did you mean "prompt"?)',
        'config.toml: paths."/c/{name}": prompt: uses {prompt}, which the path does not have',
        'config.toml: paths."/d/{tone}": country: no tones for country "atlantis": us, uk, de, fr, jp, kr'
        " (it is 'atlantis')",
        'config.toml: paths."/d/{tone}": level: should be 3 or less (it is 99)',
        'config.toml: paths."/e/{x": is not a path pattern such as /play/{name}',
        'config.toml: paths."/f?a=b": a path has no query and no fragment',
        'config.toml: paths."/c/{other}": is the same as "/c/{name}", which comes first',
    ]


def test_every_key_there_is_stands_in_the_example() -> None:
    """The example is the reference: commented out or not, each key has its line."""
    text = EXAMPLE.read_text()
    tables = {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if name != "paths" and field.annotation is not None
    }
    while tables:
        table, model = tables.popitem()
        if get_origin(model) is tuple:  # a list of tables, commented out
            table, model = f"[{table}]", get_args(model)[0]
        section = text.replace("\n# [", "\n[").split(f"\n[{table}]")[1].split("\n[")[0]
        for key, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Table):
                tables[f"{table}.{key}"] = field.annotation
            else:
                assert f"\n{key} =" in section or f"\n# {key} =" in section, f"[{table}] {key}"


@pytest.mark.parametrize("name", HANDLERS)
def test_every_setting_of_every_handler_stands_in_the_example(name: str) -> None:
    text = EXAMPLE.read_text()
    assert f'handler = "{name}"' in text
    for key in HANDLERS[name].model_fields:
        assert re.search(rf"^(# )?({key} =|\[.*\.{key}\..*\])", text, re.MULTILINE), key


def test_what_the_example_has_commented_out_is_valid_too(tmp_path: Path) -> None:
    """Settings, that is; sentences begin with a capital letter or stand behind a value."""
    lines = EXAMPLE.read_text().splitlines()
    settings = [line.removeprefix("# ") if is_setting(line) else line for line in lines]
    text = "\n".join(settings)
    tomllib.loads(text)
    _, found = route_builder.build_routes(load(tmp_path, text), "config.toml")
    assert found == []


def is_setting(line: str) -> bool:
    words = line.removeprefix("# ").split()
    return line.startswith(("# [paths.", "# [[")) or (line.startswith("# ") and len(words) > 2 and words[1] == "=")


FLOW = """
[paths."/{shop}/menu"]
handler = "menu"
start = "mian"
[paths."/{shop}/menu".menus.main]
play = "{shop}/welcome"
retry = 2
keys.1 = { record = { file = "{id}.wav" }, menu = "salse" }
"""


def test_a_variable_in_one_setting_hides_no_mistake_in_another(tmp_path: Path) -> None:
    place = 'config.toml: paths."/{shop}/menu"'
    menus = [
        f'{place}: start: no menu "mian" (did you mean "main"?)',
        f'{place}: menus.main.keys.1: no menu "salse"',
    ]
    _, found = route_builder.build_routes(load(tmp_path, FLOW), "config.toml")
    assert found == [f'{place}: menus.main.retry: unknown setting (did you mean "retries"?)', *menus]
    _, found = route_builder.build_routes(load(tmp_path, FLOW.replace("retry = 2", "")), "config.toml")
    assert found == menus


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('handler = "record"\nfile = "/abs/{id}.wav"', "must name a file within the folder"),
        ('handler = "record"\nfile = "{time:%Y}.wav"', "has a field that is none of"),
        ('handler = "record"\ndirectory = "x/{who}"', "directory: is the same for all callers"),
        ('handler = "record"\nmax_duration = inf', "max_duration: should be a finite number"),
    ],
)
def test_a_recording_path_outside_of_its_folder_is_a_mistake(tmp_path: Path, text: str, why: str) -> None:
    _, found = route_builder.build_routes(load(tmp_path, f'[paths."/r/{{who}}"]\n{text}'), "config.toml")
    assert [why in line for line in found] == [True], found


BOT = """
[paths."/bot/{who}"]
handler = "bridge"
url = "wss://bots.example/{who}?key={who}"
token = "file:TOKEN"
"""


def test_a_handler_gets_its_secret_and_the_secret_file_is_watched(tmp_path: Path) -> None:
    token = tmp_path / "token"
    text = BOT.replace("TOKEN", str(token))
    missing = Configuration.build(load(tmp_path, text), "config.toml")
    place = 'config.toml: paths."/bot/{who}": token'
    assert list(missing.problems) == [f"{place}: {token} cannot be read: No such file or directory"]
    assert missing.files == [token]  # it may come later
    token.write_text("s3cret {who}\n")
    there = Configuration.build(load(tmp_path, text), "config.toml")
    assert (there.problems, there.files) == ((), [token])
    (route,) = there.table
    handler = route.build_handler({"who": "a/b?c&d"}, {}, library_of().snapshot)
    assert isinstance(handler, Bridge)
    assert handler.token.get_secret_value() == "s3cret {who}"
    assert handler.url == "wss://bots.example/a%2Fb%3Fc%26d?key=a%2Fb%3Fc%26d"
    assert "s3cret" not in f"{route} {handler!r} {there}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('url = "https://bots.example/"', "url: should be a URL that begins with ws:// or wss://"),
        ('url = "wss://"', "url: should be a URL that begins with ws:// or wss://"),
        ('url = "wss://a:x/"', "url: the port in the URL should be a whole number up to 65535"),
        ("", "url is missing"),
        ('url = "ws://a/"\nprotocol = "sip"', 'protocol: should be "twilio" or "pcm" (it is \'sip\')'),
        (
            'url = "ws://a/"\ntoken = "env:N0T_THERE"',
            "token: the environment variable N0T_THERE is not set, or empty",
        ),
        (
            'url = "ws://me@a/"\ntoken = "t"',
            "the url names a user and there is a token: only one of them can be sent",
        ),
        ('url = "ws://a/"\ntoken = 5', "token: should be text, in quotes"),
        ('url = "ws://a/"\nconnect_timeout = 0', "connect_timeout: should be more than 0 (it is 0)"),
    ],
)
def test_mistakes_in_a_bridge_are_told(tmp_path: Path, text: str, why: str) -> None:
    _, found = route_builder.build_routes(
        load(tmp_path, f'[paths."/b"]\nhandler = "bridge"\n{text}'), "config.toml"
    )
    assert found == [f'config.toml: paths."/b": {why}']


@pytest.mark.parametrize(
    "text",
    [
        '[voipbin]\napi = "ftp://me:s3cret@there"',
        '[voipbin]\napi = "http://there/?token=s3cret"',
        '[events]\nurl = "//there?key=s3cret"',
        "[voipbin]\ntoken = 53cret",
        "[voipbin]\naccess_key = 53cret",
        '[voipbin]\ntoken = "s3cret"\naccess_key = "s3cret"',
    ],
)
def test_messages_about_mistakes_contain_no_secrets(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text.replace("53cret", "5301"))
    _, found = config.load(tmp_path / "config.toml")
    assert found
    assert "s3cret" not in "".join(found)
    assert "5301" not in "".join(found)


def test_a_token_and_an_access_key_together_are_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = '[voipbin]\ntoken = "eyJ.a.b"\naccess_key = "env:KEY"\n'
    why = "config.toml: voipbin: there is a token and an access_key: set only one of them"
    assert problems(tmp_path, both) == [why]
    monkeypatch.setenv("MEDIASERVER_VOIPBIN__TOKEN", "")  # wins over the file's
    assert problems(tmp_path, both) == []


def test_an_access_key_may_name_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(tmp_path, '[voipbin]\naccess_key = "env:KEY"\n')
    configuration = Configuration.build(settings, "config.toml")
    assert configuration.problems == (
        "config.toml: voipbin.access_key: the environment variable KEY is not set, or empty",
    )
    monkeypatch.setenv("KEY", "vb_s3cret")
    configuration = Configuration.build(settings, "config.toml")
    assert configuration.problems == ()
    assert configuration.secrets["voipbin.access_key"] == "vb_s3cret"
    assert "s3cret" not in repr(configuration)


@pytest.mark.parametrize(("key", "value"), [("dial_rate", 0), ("start_timeout", -1), ("start_timeout", 61)])
def test_settings_of_dialling_have_bounds(tmp_path: Path, key: str, value: int) -> None:
    (problem,) = problems(tmp_path, f"[voipbin]\n{key} = {value}\n")
    assert problem.startswith(f"config.toml: voipbin.{key}: should be ")


def test_a_placeholder_in_a_url_is_refused_with_what_to_do(tmp_path: Path) -> None:
    text = '[paths."/play/{prompt}"]\nhandler = "playback"\nprompt = "{prompt}"'
    (route,), _ = route_builder.build_routes(load(tmp_path, text), "config.toml")
    with pytest.raises(RefusedError) as caught:
        route.build_handler({"prompt": "${prompt}"}, {}, library_of().snapshot)
    why = 'the URL has "${prompt}" in place of {prompt}: put the value itself there, without braces'
    assert (caught.value.status, str(caught.value)) == (404, why)


def test_a_url_may_fill_in_numbers_and_choices(tmp_path: Path) -> None:
    text = '[paths."/n/{level}/{stereo}"]\nhandler = "noise"\nlevel = "{level}"\n'
    (route,), found = route_builder.build_routes(load(tmp_path, text), "config.toml")
    assert found == []
    handler: Any = route.build_handler({"level": "-40", "stereo": "x"}, {}, library_of().snapshot)
    assert handler.level == -40
    with pytest.raises(RefusedError, match=r"level: should be a number \(it is 'loud'\)"):
        route.build_handler({"level": "loud", "stereo": "x"}, {}, library_of().snapshot)


def test_a_path_whose_token_cannot_be_read_stays_closed(tmp_path: Path) -> None:
    text = '[paths."/a"]\nhandler = "silence"\ntokens = ["env:N0T_THERE"]\n[paths."/b"]\nhandler = "silence"\n'
    settings = load(tmp_path, text)
    assert Configuration.build(settings, "c").table.open_paths == ["/b"]
    tokens = settings.defaults.model_copy(update={"tokens": (SecretStr("env:N0T_THERE"),)})
    assert Configuration.build(settings.model_copy(update={"defaults": tokens}), "c").table.open_paths == []


def test_callers_with_the_same_url_share_one_handler(tmp_path: Path) -> None:
    text = '[paths."/play/{prompt}"]\nhandler = "playback"\nprompt = "{prompt}"'
    (route,), _ = route_builder.build_routes(load(tmp_path, text), "config.toml")
    library = library_of()
    first = route.build_handler({"prompt": "welcome"}, {}, library.snapshot)
    assert route.build_handler({"prompt": "welcome"}, {}, library.snapshot) is first
    assert route.build_handler({"prompt": "odd"}, {}, library.snapshot) is not first
    assert route.build_handler({"prompt": "welcome"}, {"repeat": "2"}, library.snapshot) is not first
    library.snapshot = library.snapshot.updated({"welcome": None}, {})
    with pytest.raises(RefusedError, match='no prompt "welcome"'):
        route.build_handler({"prompt": "welcome"}, {}, library.snapshot)


@pytest.mark.parametrize(
    ("cache", "given", "place"),
    [
        ("auto", "/caches", "/caches/mediaserver"),
        ("auto", "", "/home/somebody/.cache/mediaserver"),
        ("auto", "relative", "/home/somebody/.cache/mediaserver"),
        ("here", "/caches", "here"),
        ("~/here", "/caches", "/home/somebody/here"),
        ("~nobody-of-that-name/here", "/caches", None),
        ("off", "/caches", None),
    ],
)
def test_the_folder_of_decoded_prompts(
    monkeypatch: pytest.MonkeyPatch, cache: str, given: str, place: str | None
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert PromptSettings(cache=cache).cache_directory == (None if place is None else Path(place))


@pytest.mark.parametrize("place", ["prompts", "prompts/cache", "other/../prompts/cache"])
def test_a_cache_in_the_prompt_folder_is_a_mistake(tmp_path: Path, place: str) -> None:
    prompts = PromptSettings(directory=tmp_path / "prompts", cache=str(tmp_path / place))
    problems = Configuration.build(Settings(prompts=prompts), "config.toml").problems
    assert problems == (
        f'config.toml: prompts.cache: {tmp_path / place} is in the prompt folder: name another one, or "off"',
    )


@pytest.mark.parametrize("cache", ["auto", "~/here"])
async def test_without_a_home_no_folder_of_that_name_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", os.fspath)  # as where neither $HOME nor the users' table tells it
    with capture_logs() as logged:
        open_library(Settings(prompts=PromptSettings(directory=tmp_path, cache=cache)))
    assert [line["why"] for line in logged] == ["there is no home directory"]
    assert list(tmp_path.iterdir()) == []


def test_no_cache_folder_is_made_among_the_prompts(tmp_path: Path) -> None:
    prompts = PromptSettings(directory=tmp_path, cache=str(tmp_path / "cache"))
    open_library(Settings(prompts=prompts))
    assert list(tmp_path.iterdir()) == []


async def test_check_makes_no_folder_and_uses_one_that_is_there(tmp_path: Path) -> None:
    write_wav(tmp_path / "prompts/a.wav", speechlike(100))
    prompts = PromptSettings(directory=tmp_path / "prompts", cache=str(tmp_path / "cache"))
    sounds = tmp_path / "cache/sounds"
    await collect_findings(Settings(prompts=prompts), "config.toml", [], lambda done, total: None)
    assert not sounds.parent.exists()
    sounds.mkdir(parents=True)
    await collect_findings(Settings(prompts=prompts), "config.toml", [], lambda done, total: None)
    assert list(sounds.iterdir())


def test_a_cache_folder_behind_a_link_loop_is_logged(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    prompts = PromptSettings(directory=tmp_path / "prompts", cache=str(tmp_path / "loop/cache"))
    assert not Configuration.build(Settings(prompts=prompts), "config.toml").problems
    with capture_logs() as logged:
        open_library(Settings(prompts=prompts))
    assert [line["key"] for line in logged] == ["prompts.cache"]


@pytest.mark.parametrize("key", ["directory", "cache"])
def test_a_folder_that_is_no_path_is_a_mistake(tmp_path: Path, key: str) -> None:
    prompts = PromptSettings.model_validate({"cache": str(tmp_path / "cache"), key: "a\0b"})
    (problem,) = Configuration.build(Settings(prompts=prompts), "config.toml").problems
    assert problem.startswith("config.toml: prompts: directory or cache is not a valid path: ")
    open_library(Settings(prompts=prompts))


async def test_a_cache_folder_that_cannot_be_made_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    prompts = PromptSettings(directory=tmp_path / "prompts", cache=str(tmp_path / "file/cache"))
    with capture_logs() as logged:
        library = open_library(Settings(prompts=prompts))
        await library.load()
    assert [(line["event"], line["why"]) for line in logged] == [("prompt cache unavailable", "Not a directory")]


@pytest.mark.parametrize(
    ("line", "loudness", "trim_silence"),
    [
        ("", "off", False),
        ('loudness = "off"\ntrim_silence = true', "off", True),
        ("loudness = -26\ntrim_silence = -60", -26.0, -60.0),
        ("loudness = -19.5", -19.5, False),
    ],
)
def test_the_level_and_the_edges_of_prompts(
    tmp_path: Path, line: str, loudness: object, trim_silence: object
) -> None:
    prompts = load(tmp_path, f"[prompts]\n{line}\n").prompts
    assert (prompts.loudness, prompts.trim_silence) == (loudness, trim_silence)


def test_the_level_and_the_edges_of_prompts_by_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIASERVER_PROMPTS__LOUDNESS", "-23")
    monkeypatch.setenv("MEDIASERVER_PROMPTS__TRIM_SILENCE", "True")
    prompts = load(tmp_path, "").prompts
    assert (prompts.loudness, prompts.trim_silence) == (-23.0, True)
    monkeypatch.setenv("MEDIASERVER_PROMPTS__LOUDNESS", "off")
    monkeypatch.setenv("MEDIASERVER_PROMPTS__TRIM_SILENCE", "-50")
    prompts = load(tmp_path, "").prompts
    assert (prompts.loudness, prompts.trim_silence) == ("off", -50.0)


@pytest.mark.parametrize("value", ["true", '"-26"', '"loud"', "-51", "0", "nan", "[]"])
def test_a_level_that_is_none_is_told(tmp_path: Path, value: str) -> None:
    (problem,) = problems(tmp_path, f"[prompts]\nloudness = {value}\n")
    assert 'prompts.loudness: should be "off", or a level in dBov from -50 to -10' in problem


@pytest.mark.parametrize("value", ["1", "0", '"yes"', "-19", "nan"])
def test_a_silence_that_is_none_is_told(tmp_path: Path, value: str) -> None:
    (problem,) = problems(tmp_path, f"[prompts]\ntrim_silence = {value}\n")
    assert problem.startswith("config.toml: prompts.trim_silence: should be true")


def test_a_level_that_changes_while_the_server_runs_needs_a_restart() -> None:
    before, after = (Configuration.build(Settings(prompts=PromptSettings(loudness=-26)), "c.toml") for _ in "12")
    assert before.needing_restart(after) == []
    after = Configuration.build(Settings(prompts=PromptSettings(loudness=-19, trim_silence=True)), "c.toml")
    assert before.needing_restart(after) == [
        f"c.toml: prompts.{key}: cannot change while the server runs: restart it"
        for key in ("loudness", "trim_silence")
    ]
