"""Requests made from the description of the API, right ones and wrong ones: each answer is as described.

No request makes the server fail. The other tests of this folder compare their answers in the same way.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.admin.contract import api, check_answer
from tests.server.admin.live_calls import CONFIG, LONG, SHORT, bearer, calling
from tests.server.process import ServerProcess, client_session, serving, write_config
from tests.sound import write_wav

EDITABLE = """
[prompts]
editable = true
[paths."/again"]
handler = "hold-music"
prompts = ["long"]
"""
# Requests that dial VoIPBIN, or that need an engine.
LEFT_OUT = {("post", "/v1/attach"), ("post", "/v1/prompts/{name}/say")}
WITH_BODY = [
    (method, path)
    for path, methods in api()["paths"].items()
    for method, described in methods.items()
    if "application/json" in described.get("requestBody", {}).get("content", {}) and (method, path) not in LEFT_OUT
]
JUNK = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
# Values that mean something on the server of this test, beside any others.
KNOWN = {"play": st.sampled_from(["long", "short"]), "path": st.sampled_from(["/again", "/silence", "/nowhere"])}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("contract")
    recordings = f"recordings = {json.dumps(str(folder / 'recordings'))}\n"
    config = write_config(folder, recordings + CONFIG + EDITABLE)
    write_wav(folder / "prompts" / "long.wav", LONG)
    write_wav(folder / "prompts" / "short.wav", SHORT)
    with serving(config) as server:
        yield server


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema allows, and some that it does not."""
    if "$ref" in schema:
        return values(api()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if choices := schema.get("anyOf", schema.get("oneOf")):
        return st.one_of(*map(values, choices))
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    return TYPES[schema["type"]](schema)


def texts(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    any_text = st.text(min_size=schema.get("minLength", 0), max_size=20)
    return st.from_regex(schema["pattern"]) | any_text if "pattern" in schema else any_text


def objects(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "properties" not in schema:
        inner = values(schema["additionalProperties"])
        return st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3)
    fields = {key: KNOWN.get(key, st.nothing()) | values(each) for key, each in schema["properties"].items()}
    required = {key: fields.pop(key) for key in schema.get("required", ())}
    return st.fixed_dictionaries(required, optional=fields)


def bounds(schema: dict[str, Any]) -> tuple[float, float]:
    return schema.get("minimum", -1000), schema.get("maximum", 1000)


TYPES: dict[str, Callable[[dict[str, Any]], st.SearchStrategy[Any]]] = {
    "string": texts,
    "integer": lambda schema: st.integers(*map(int, bounds(schema))),
    "number": lambda schema: st.floats(*bounds(schema), allow_nan=False),
    "boolean": lambda schema: st.booleans(),
    "null": lambda schema: st.none(),
    "array": lambda schema: st.lists(values(schema["items"]), max_size=3),
    "object": objects,
}


def bodies(method: str, path: str) -> list[Any]:
    """Bodies for a request: always the same ones, most of them as described."""
    schema = api()["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    made: list[Any] = []

    @settings(max_examples=30, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(values(schema) | values(schema) | JUNK)
    def make(body: Any) -> None:
        made.append(body)

    make()
    return made


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
async def test_the_answer_to_any_body_is_as_described(server: ServerProcess, method: str, path: str) -> None:
    statuses = set[int]()
    async with calling(server, "/silence") as (stream, _), client_session() as client:
        url = path.replace("{id}", stream).replace("{name}", "short")
        for body in bodies(method, path):
            async with client.request(
                method, server.admin_url(url), json=body, headers=bearer("admin")
            ) as response:
                text = await response.text()
            check_answer(method, url, response.status, json.loads(text) if text else None)
            statuses.add(response.status // 100)
    assert statuses == {2, 4}, "some bodies are right, and some are wrong"
    assert not server.events("request failed")


async def test_what_is_listed_and_described_is_as_described(server: ServerProcess) -> None:
    asked = [path for path, methods in api()["paths"].items() if "get" in methods]
    async with calling(server, "/again") as (stream, _), client_session() as client:
        for path in asked:
            described = api()["paths"][path]["get"]
            if "101" in described["responses"] or path.endswith("/listen"):
                continue
            url = path.replace("{id}", stream).replace("{name}", "short")
            for query in ("", "?limit=1", "?limit=0", "?after=x", "?problems=true", "?law=mulaw"):
                async with client.get(server.admin_url(url + query), headers=bearer("admin")) as response:
                    is_json = response.content_type == "application/json"
                    check_answer("get", url, response.status, await response.json() if is_json else None)
