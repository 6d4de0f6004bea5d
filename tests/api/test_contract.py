"""The served document against the project's copy of the contract."""

from __future__ import annotations

import inspect
import re
from typing import Any

import nodeum_sdk
import pytest

from longshore.api.document import contract_files
from tests.api.client import TestClient

CONTRACT = contract_files()["tasks.json"]
OPERATIONS = [(path, method) for path, methods in CONTRACT["paths"].items() for method in methods]
ERRORS_OF_EVERY_RESOURCE = {"400", "401", "403", "404", "413", "415", "422", "500"}
SDK_APIS = (
    "TasksApi", "TaskCallbacksApi", "TaskSourcesApi", "TaskDestinationsApi", "TaskOptionsApi",
    "TaskMetadataApi", "TaskExecutionsApi",
)  # fmt: skip


@pytest.fixture
def served(admin: TestClient) -> Any:
    answer = admin.get("/api/v2/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def resolved(document: Any, value: Any) -> Any:
    """The value itself, where it is a reference to something other than a schema."""
    while isinstance(value, dict) and "$ref" in value and "/schemas/" not in value["$ref"]:
        target = document
        for name in value["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        value = target
    return value


def parameters(document: Any, operation: Any) -> list[dict[str, Any]]:
    """The query parameters without their descriptions, by name."""
    found = [resolved(document, each) for each in operation.get("parameters", [])]
    facts = [
        {name: each[name] for name in ("name", "in", "style", "required", "schema") if name in each}
        for each in found
        if each["in"] != "path"
    ]
    return sorted(facts, key=lambda each: str(each["name"]))


def content(document: Any, part: Any) -> Any:
    return resolved(document, part).get("content")


def test_the_contract_has_its_eighteen_operations() -> None:
    assert len(OPERATIONS) == 18


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_an_operation_is_served_as_the_contract_says(served: Any, path: str, method: str) -> None:
    wanted, found = CONTRACT["paths"][path][method], served["paths"][path][method]
    assert set(served["paths"][path]) == set(CONTRACT["paths"][path])
    for fact in ("operationId", "tags", "x-api-key-scope"):
        assert found[fact] == wanted[fact]
    assert parameters(served, found) == parameters(CONTRACT, wanted)
    if "requestBody" in wanted:
        body = resolved(CONTRACT, wanted["requestBody"])
        assert found["requestBody"]["content"] == body["content"]
        assert found["requestBody"]["required"] is body["required"]
    else:
        assert "requestBody" not in found
    for status, answer in wanted["responses"].items():
        assert content(served, found["responses"][status]) == content(CONTRACT, answer)
    more = set(found["responses"]) - set(wanted["responses"])
    assert more <= ERRORS_OF_EVERY_RESOURCE
    path_names = {each["name"] for each in found["parameters"] if each["in"] == "path"}
    assert path_names == set(re.findall(r"{(\w+)}", path))


def test_schemas_servers_and_security_are_those_of_the_contract(served: Any) -> None:
    for name, schema in CONTRACT["components"]["schemas"].items():
        assert served["components"]["schemas"][name] == schema
    assert served["components"]["securitySchemes"] == CONTRACT["components"]["securitySchemes"]
    for fact in ("openapi", "security", "servers"):
        assert served[fact] == CONTRACT[fact]
    assert served["info"]["version"] == "2.1.0"


def test_every_reference_of_the_document_has_a_target(served: Any) -> None:
    wanted = set(re.findall(r"#/components/schemas/(\w+)", str(served)))
    assert wanted <= set(served["components"]["schemas"])


def test_operation_ids_are_unique(served: Any) -> None:
    found = [
        operation["operationId"] for path in served["paths"].values() for operation in path.values()
    ]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("api", SDK_APIS)
def test_every_method_of_the_released_sdk_has_an_operation(served: Any, api: str) -> None:
    methods = {
        name
        for name, _ in inspect.getmembers(getattr(nodeum_sdk, api), inspect.isfunction)
        if not name.startswith("_") and not name.endswith("_with_http_info")
    }
    operations = {
        operation["operationId"] for path in served["paths"].values() for operation in path.values()
    }
    assert methods
    assert methods <= operations
