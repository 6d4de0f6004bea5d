"""The OpenAPI document, built from what the routes declare and the schemas in `contract/`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from longshore.api.routing import Operation, Parameter

_STANDARD_ERRORS = {
    400: "The request cannot be read.",
    401: "Nobody is logged in.",
    403: "The credential does not cover this.",
    404: "There is no such resource.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "Attributes or parameters are wrong; all of them are listed.",
    500: "An unexpected error; the log has more under the request id.",
}


@cache
def contract_files() -> Mapping[str, Mapping[str, Any]]:
    """The contract's files by name."""
    folder = files("longshore.api") / "contract"
    return {
        each.name: json.loads(each.read_text("utf-8"))
        for each in sorted(folder.iterdir(), key=lambda each: each.name)
        if each.name.endswith(".json")
    }


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The whole OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = paths.setdefault(operation.path, {})
        path[operation.method.lower()] = _operation(operation)
    contract = contract_files()["tasks.json"]
    schemas: dict[str, Any] = {}
    for each in contract_files().values():
        schemas |= each["components"]["schemas"]
    return {
        "openapi": contract["openapi"],
        "info": contract["info"],
        "servers": contract["servers"],
        "security": contract["security"],
        "paths": paths,
        "components": {
            "securitySchemes": contract["components"]["securitySchemes"],
            "schemas": schemas,
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "tags": [operation.tag],
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": _responses(operation),
        "x-api-key-scope": {"controller": operation.controller, "action": operation.action},
    }
    if operation.body is not None:
        described["requestBody"] = {"content": _content(operation.body), "required": True}
    elif operation.upload is not None:
        described["requestBody"] = {"content": _form(operation.upload), "required": True}
    return described


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in operation.path_names
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters = []
    if operation.paged:
        for name in ("limit", "offset"):
            parameters.append(_query(name, {"type": "integer"}))
    if operation.sortable:
        schema = {"type": "array", "items": {"type": "string"}}
        parameters.append(_query("sort_by", schema) | {"style": "pipeDelimited"})
    parameters += [_declared(each) for each in operation.parameters]
    parameters += [_query(name, {"type": "string"}) for name in operation.filters]
    return parameters


def _query(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": dict(schema)}


def _declared(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.type}
    if parameter.default is not None:
        schema["default"] = parameter.default
    if parameter.enum:
        schema["enum"] = list(parameter.enum)
    described = _query(parameter.name, schema)
    if parameter.required:
        described["required"] = True
    if parameter.description:
        described["description"] = parameter.description
    return described


def _responses(operation: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, schema in operation.responses.items():
        responses[str(status)] = {"description": _description(status)}
        if schema is not None:
            responses[str(status)]["content"] = _content(schema)
    for status, text in _STANDARD_ERRORS.items():
        if str(status) not in responses and _may_answer(operation, status):
            responses[str(status)] = {"description": text, "content": _content("error")}
    return responses


def _may_answer(operation: Operation, status: int) -> bool:
    if status in {413, 415}:
        return operation.has_body
    if status == 422:
        return operation.paged or bool(operation.parameters) or operation.has_body
    return status != 404 or bool(operation.path_names)


def _description(status: int) -> str:
    return {
        200: "Done.",
        201: "Created.",
        202: "Accepted; the job is under way.",
        204: "Removed.",
        404: _STANDARD_ERRORS[404],
        422: _STANDARD_ERRORS[422],
    }.get(status, "Answered.")


def _form(field: str) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    schema = {"type": "object", "required": [field], "properties": {field: file}}
    return {"multipart/form-data": {"schema": schema}}


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
