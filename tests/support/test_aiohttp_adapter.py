"""Only the adapter touches what aiohttp does not document, so that no release of it breaks another module."""

import ast
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

import mediaserver

PACKAGE = Path(mediaserver.__file__).parent
ADAPTER = PACKAGE / "support/aiohttp_adapter.py"
PUBLIC = {
    "aiohttp": set(aiohttp.__all__) | {"web"},
    "aiohttp.abc": {"AbstractResolver", "ResolveResult"},
    "aiohttp.web": set(web.__all__),
}
# Methods, attributes and classes of aiohttp's server and client that its reference does not have.
UNDOCUMENTED = {
    "RequestHandler",
    "_wrap_create_connection",
    "finish_response",
    "handle_error",
    "on_eof",
    "set_parser",
}


def undocumented(source: str) -> list[str]:
    """What a module imports or touches of aiohttp beyond what is documented, with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                modules = [name.name for name in names if name.name.split(".")[0] == "aiohttp"]
                found += [f"{node.lineno}: {module}" for module in modules if module not in PUBLIC]
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] == "aiohttp":
                known = PUBLIC.get(module, set())
                found += [f"{node.lineno}: {module}.{name.name}" for name in names if name.name not in known]
            case ast.Attribute(attr=attr) if attr in UNDOCUMENTED:
                found.append(f"{node.lineno}: .{attr}")
            case ast.Attribute(value=ast.Attribute(attr="connection"), attr="transport"):
                found.append(f"{node.lineno}: .connection.transport")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name in UNDOCUMENTED:
                found.append(f"{node.lineno}: def {name}")
    return found


def test_no_other_module_touches_what_aiohttp_does_not_document() -> None:
    files = [file for file in PACKAGE.rglob("*.py") if file != ADAPTER]
    found = {str(file.relative_to(PACKAGE)): undocumented(file.read_text()) for file in files}
    assert len(files) > 100
    assert {file: lines for file, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import aiohttp", []),
        ("from aiohttp import ClientSession, web", []),
        ("from aiohttp.web import UrlDispatcher", []),
        ("import aiohttp.http_websocket", ["1: aiohttp.http_websocket"]),
        ("from aiohttp.base_protocol import BaseProtocol", ["1: aiohttp.base_protocol.BaseProtocol"]),
        ("from aiohttp import http_exceptions", ["1: aiohttp.http_exceptions"]),
        ("class C(web.RequestHandler): pass", ["1: .RequestHandler"]),
        ("async def finish_response(self): pass", ["1: def finish_response"]),
        ("transport = response.connection.transport", ["1: .connection.transport"]),
    ],
)
def test_it_is_found(source: str, found: list[str]) -> None:
    assert undocumented(source) == found


def test_the_adapter_needs_what_the_check_finds() -> None:
    names = {line.rpartition(".")[2] for line in undocumented(ADAPTER.read_text())}
    assert names >= {"WebSocketDataQueue", "WebSocketReader", "BaseProtocol", "Connection", "RequestHandler"}
