"""The description of the admin port's API: valid, and of all that is there."""

import re

import pytest
from openapi_spec_validator import validate

from mediaserver.server.admin.schemas.openapi import Operation, document
from scripts.reference.admin_api import operations


def test_the_document_is_valid() -> None:
    validate(document(operations()))


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: f"{operation.method} {operation.path}")
def test_every_operation_is_described(operation: Operation) -> None:
    described = document(operations())["paths"][operation.path][operation.method.lower()]
    assert described["summary"].endswith(".")
    named = {each["name"] for each in described.get("parameters", ()) if each["in"] == "path"}
    assert named == set(re.findall(r"\{(\w+)\}", operation.path))
    assert described.get("x-scope") == operation.scope


def test_a_body_is_optional_where_nothing_in_it_is_required() -> None:
    found = document(operations())["paths"]
    optional = {
        f"{method} {path}"
        for path, methods in found.items()
        for method, described in methods.items()
        if not described.get("requestBody", {"required": True})["required"]
    }
    assert optional == {"post /v1/streams/{id}/recording"}


def test_every_answer_is_described() -> None:
    """With its keys, or as what it is where it is no JSON. The tests compare real answers with that."""
    found = document(operations())
    other = {"get /healthz", "get /readyz", "get /metrics", "get /v1/openapi.json"}
    for path, methods in found["paths"].items():
        for method, described in methods.items():
            responses = described["responses"]
            assert {"4XX", "5XX"} < responses.keys()
            for status in responses.keys() - {"4XX", "5XX", "101", "204"}:
                content = responses[status]["content"]
                is_sound = content.keys() == {"audio/wav"}
                assert is_sound or f"{method} {path}" in other or "schema" in content["application/json"]


def test_a_text_is_described_as_text() -> None:
    schemas = document(operations())["components"]["schemas"]
    assert schemas["SpokenPrompt"]["properties"]["say"]["type"] == "string"
    assert {"type": "string"} in schemas["PlayRequest"]["properties"]["play"]["anyOf"][0]["oneOf"]
