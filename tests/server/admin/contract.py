"""The contract of the admin port's API: its OpenAPI document, and whether an answer keeps to it.

Every answer that the tests of the admin port get is compared with the document, by `ask` of `live_calls`.
"""

import re
from copy import deepcopy
from functools import cache
from typing import Any

from openapi_schema_validator import OAS31Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from mediaserver.server.admin.schemas.openapi import document
from scripts.reference.admin_api import operations

_BASE = "urn:api"  # the URI of the document


@cache
def api() -> dict[str, Any]:
    """The document, in which no answer may have a key that is not described."""
    found = deepcopy(document(operations()))
    for schema in found["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return found


@cache
def _registry() -> Any:
    return Registry().with_resource(_BASE, DRAFT202012.create_resource(api()))


def find_operation(method: str, path: str) -> dict[str, Any]:
    """The description of the operation that answers a request; fails where there is none."""
    plain = path.partition("?")[0]
    for template, methods in api()["paths"].items():
        # Names of prompts may have slashes.
        pattern = re.sub(r"\\\{(\w+)\\\}", lambda m: ".+" if m[1] == "name" else "[^/]+", re.escape(template))
        if method.lower() in methods and re.fullmatch(pattern, plain):
            return dict(methods[method.lower()])
    raise AssertionError(f"{method} {path} is not described")


def mistakes_in(answer: Any, schema: dict[str, str]) -> list[str]:
    """What of an answer is not as a schema of the document says; `schema` refers to it."""
    found = OAS31Validator({"$ref": _BASE + schema["$ref"]}, registry=_registry()).iter_errors(answer)
    return [f"{error.json_path}: {error.message}" for error in found]


def check_answer(method: str, path: str, status: int, answer: Any) -> None:
    """Assert that an answer's status and JSON are as described; `answer` is None for no body."""
    responses = find_operation(method, path)["responses"]
    response = responses.get(str(status), responses.get(f"{status // 100}XX"))
    assert response is not None, f"{method} {path}: {status} is not described"
    assert status < 500 or status in (502, 503, 507), f"{method} {path}: {status} {answer}"
    content = response.get("content")
    if content is None:
        assert answer is None, f"{method} {path}: {status} has no body"
    elif "schema" in content.get("application/json", {}):
        mistakes = mistakes_in(answer, content["application/json"]["schema"])
        assert not mistakes, f"{method} {path}: {status} {mistakes}"
