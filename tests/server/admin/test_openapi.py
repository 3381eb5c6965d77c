"""The description of the admin port's API: valid, and of all that is there."""

import re

import pytest
from openapi_spec_validator import validate

from mediaserver.server.admin.openapi import Operation, document
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


def test_a_text_is_described_as_text() -> None:
    schemas = document(operations())["components"]["schemas"]
    assert schemas["SpokenPrompt"]["properties"]["say"]["type"] == "string"
    assert {"type": "string"} in schemas["PlayRequest"]["properties"]["play"]["anyOf"][0]["oneOf"]
