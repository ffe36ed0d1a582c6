"""The OpenAPI document of a service, made from its endpoints: every path, every status, every shape."""

from typing import Any

from pydantic import TypeAdapter

from tenfold.serving.service import Endpoint, Service
from tenfold.version import VERSION

REFS = "#/components/schemas/{model}"
ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
ALWAYS = {
    413: "the body is too large",
    422: "it has another shape, or cannot be taken: the sentence says why",
    500: "the service failed",
    503: "too many requests wait",
}


def document(service: Service, *, tokens: bool) -> dict[str, Any]:
    schemas: dict[str, Any] = {"Error": ERROR}
    paths: dict[str, Any] = {}
    for endpoint in service.endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas, tokens)
    for path, summary, kind in (
        ("/health", "that it is alive, and what it serves", "application/json"),
        ("/ready", "whether it can answer now", "application/json"),
        ("/metrics", "figures for Prometheus", "text/plain"),
        ("/openapi.json", "this document", "application/json"),
    ):
        answers = {"200": {"description": summary, "content": {kind: {"schema": {}}}}}
        if path == "/ready":
            answers["503"] = _error("it cannot; the sentence says why")
        if tokens and path not in ("/health", "/ready"):
            answers["401"] = _error("no token that it knows")
        paths[path] = {"get": {"summary": summary, "responses": answers}}
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Tenfold", "version": VERSION, "description": type(service).__doc__ or ""},
        "paths": paths,
        "components": {"schemas": schemas},
    }
    if tokens:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
        for path in ("/health", "/ready"):
            paths[path]["get"]["security"] = []
    return found


def _operation(endpoint: Endpoint, schemas: dict[str, Any], tokens: bool) -> dict[str, Any]:
    refusals = ALWAYS | dict(endpoint.refusals)
    if endpoint.takes is not None:
        refusals[400] = "the body is no JSON"
    if tokens:
        refusals[401] = "no token that it knows"
    answers = {"200": {"description": "the answer", "content": _content(endpoint.gives, schemas, "serialization")}}
    answers |= {str(status): _error(when) for status, when in sorted(refusals.items())}
    operation: dict[str, Any] = {"summary": endpoint.summary, "responses": answers}
    _, _, last = endpoint.path.rpartition("/")
    parameters = (
        [{"name": last[1:-1], "in": "path", "required": True, "schema": {"type": "string"}}] if "{" in last else []
    )
    parameters += [
        {"name": name, "in": "query", "required": False, "description": meaning, "schema": {"type": "string"}}
        for name, meaning in endpoint.query.items()
    ]
    if parameters:
        operation["parameters"] = parameters
    if endpoint.takes is not None:
        operation["requestBody"] = {"required": True, "content": _content(endpoint.takes, schemas, "validation")}
    return operation


def _content(of: TypeAdapter[Any], schemas: dict[str, Any], mode: Any) -> dict[str, Any]:
    schema = of.json_schema(ref_template=REFS, mode=mode)
    schemas |= schema.pop("$defs", {})
    return {"application/json": {"schema": schema}}


def _error(when: str) -> dict[str, Any]:
    return {
        "description": when,
        "content": {"application/json": {"schema": {"$ref": REFS.format(model="Error")}}},
    }
