"""The console's files, as they are served: without a token, under the port's own names only, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediaserver.server.admin import console
from tests.server.admin.test_admin import ask
from tests.server.process import ServerProcess, client_session, get, serving, write_config

PATHS = '[paths."/silence"]\nhandler = "silence"\n'
IMPORT = re.compile(r'^(?:import|} from|export .* from)\b.*?"([^"]+)"', re.MULTILINE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    config = write_config(tmp_path_factory.mktemp("console"), f'token = "of-the-admin"\n{PATHS}')
    with serving(config) as server:
        yield server


@pytest.mark.parametrize("path", console.PATHS)
async def test_each_file_is_served_without_a_token_and_may_load_nothing_from_elsewhere(
    server: ServerProcess, path: str
) -> None:
    file = console.FOLDER / console.PATHS[path]
    async with client_session() as client, client.get(server.admin_url(path)) as response:
        assert response.status == 200
        assert await response.read() == file.read_bytes()
        assert (
            response.headers["Content-Type"].split(";")[0]
            == {
                ".html": "text/html",
                ".js": "text/javascript",
                ".css": "text/css",
                ".svg": "image/svg+xml",
            }[file.suffix]
        )
        policy = dict(rule.partition(" ")[::2] for rule in response.headers["Content-Security-Policy"].split("; "))
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "connect-src": "'self'",
            "media-src": "'self'",
            "img-src": "'self' data:",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
        }
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cache-Control"] == "no-cache"
        tag = response.headers["ETag"]
        async with client.get(server.admin_url(path), headers={"If-None-Match": tag}) as again:
            assert (again.status, await again.read()) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["/console/", "/console", "/console/nothing.js", "/console/../console.py", "/console/%2e%2e/console.py"],
)
async def test_nothing_else_is_served(server: ServerProcess, path: str) -> None:
    """A path that is none of the console's needs the token, as all others do; with it, it is not found."""
    status, _ = ask(server, f"GET {path}", "Host: 127.0.0.1")
    assert status == 401
    status, _ = ask(server, f"GET {path}", "Host: 127.0.0.1", "Authorization: Bearer of-the-admin")
    assert status == 404


def test_without_a_token_the_pages_are_for_the_servers_own_names(tmp_path: Path) -> None:
    """Else a page of another site, whose name resolves to this address, would be the console's own origin."""
    with serving(write_config(tmp_path, PATHS)) as server:
        assert ask(server, "GET /", "Host: 127.0.0.1")[0] == 200
        assert ask(server, "GET /", "Host: evil.example.com")[0] == 403
        assert ask(server, "GET /console/app.js", "Host: evil.example.com")[0] == 403
        assert ask(server, "GET /", "Host: localhost", "Origin: http://evil.example.com")[0] == 403


async def test_the_pages_are_not_on_the_media_port(server: ServerProcess) -> None:
    assert (await get(server.url("/", "http")))[0] == 404


def test_every_file_of_the_folder_is_served() -> None:
    files = {file.relative_to(console.FOLDER).as_posix() for file in console.FOLDER.rglob("*") if file.is_file()}
    assert files == set(console.PATHS.values())


@pytest.mark.parametrize("file", sorted(console.FOLDER.rglob("*.js")), ids=lambda file: file.name)
def test_a_module_imports_only_what_is_served_and_makes_no_markup(file: Path) -> None:
    text = file.read_text()
    for found in IMPORT.findall(text):
        assert (file.parent / found).resolve().relative_to(console.FOLDER).as_posix() in console.PATHS.values()
    for risk in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "://"):
        assert risk not in text.replace('"http://www.w3.org/2000/svg"', "")
    assert len(text.splitlines()) < 300


def test_the_page_has_no_script_or_style_of_its_own() -> None:
    text = (console.FOLDER / "index.html").read_text()
    assert re.findall(r"<script[^>]*>([^<]*)</script>", text) == [""]
    assert "<style" not in text
    assert "style=" not in text
    assert not re.search(r"\son\w+=", text)
    for url in re.findall(r'(?:src|href)="([^"#]+)"', text):
        assert f"/{url}" in console.PATHS
