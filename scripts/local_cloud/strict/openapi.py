"""The import of an OpenAPI body as API Gateway does it, in full.

ministack takes paths, security and an integration's address. What it leaves out is done here:
gateway responses, request validators, models, parameters, `x-amazon-apigateway-auth`, timeouts,
media types, the resource policy. Security that cannot be resolved fails the import: nothing falls
open.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from local_cloud.strict import seams as private

METHODS = {"get", "post", "put", "delete", "patch", "head", "options"}
INTEGRATION_MEMBERS = (
    *("credentials", "passthroughBehavior", "timeoutInMillis", "contentHandling"),
    *("requestParameters", "requestTemplates", "connectionType", "cacheKeyParameters"),
)
VALIDATORS = "x-amazon-apigateway-request-validators"
VALIDATOR = "x-amazon-apigateway-request-validator"
RESPONSES = "x-amazon-apigateway-gateway-responses"
AUTHORIZATIONS = {"AWS_IAM", "NONE"}
MAX_TIMEOUT_MS = 29_000


class InvalidDefinition(ValueError):
    """An OpenAPI body that API Gateway would not import."""


def install() -> None:
    """Wrap ministack's import."""
    private.API_IMPORT.wrap(_import)


def _import(known: Callable[..., str]) -> Callable[..., str]:
    def strict(spec: dict[str, Any], base_data: dict[str, Any] | None = None) -> str:
        _refuse(spec)
        api_id = known(spec, base_data)
        _describe_api(api_id, spec)
        validators = _create_validators(api_id, spec)
        models = _create_models(api_id, spec)
        operations = {(path, verb): operation for path, verb, operation in _operations(spec)}
        for path, verb, method in private.rest_api_methods(api_id):
            operation = operations[path, verb]
            method["requestModels"] = _request_models(operation, models)
            method["requestParameters"] = dict(_required_parameters(operation))
            named = operation.get(VALIDATOR, spec.get(VALIDATOR))
            method["requestValidatorId"] = validators[named] if named else None
            _set_authorization(method, operation, spec)
            _set_integration(method, operation)
        return api_id

    return strict


def _refuse(spec: dict[str, Any]) -> None:
    """Raise InvalidDefinition for what API Gateway refuses and for what is not emulated."""
    version = str(spec.get("openapi", spec.get("swagger", "")))
    if not version.startswith(("3.0", "2.0")):
        raise InvalidDefinition(f"API Gateway imports OpenAPI 2.0 and 3.0, not {version!r}")
    schemes = spec.get("components", {}).get("securitySchemes", {})
    schemes = {**schemes, **spec.get("securityDefinitions", {})}
    for path, verb, operation in _operations(spec):
        where = f"{verb} {path}"
        for requirement in operation.get("security", spec.get("security", [])):
            for name in requirement.keys() - schemes.keys():
                raise InvalidDefinition(f"{where}: no security definition found for {name!r}")
        for key in ("x-amazon-apigateway-any-method", "$ref"):
            if key in operation:
                raise InvalidDefinition(f"{where}: {key} is not emulated by the local cloud")
        timeout = operation.get("x-amazon-apigateway-integration", {}).get("timeoutInMillis", 50)
        if not 50 <= int(timeout) <= MAX_TIMEOUT_MS:
            raise InvalidDefinition(f"{where}: timeoutInMillis must be 50 to {MAX_TIMEOUT_MS}")
        named = operation.get(VALIDATOR, spec.get(VALIDATOR))
        if named and named not in spec.get(VALIDATORS, {}):
            raise InvalidDefinition(f"{where}: there is no request validator {named!r}")


def _operations(spec: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in spec.get("paths", {}).items():
        for verb, operation in item.items():
            if verb.lower() in METHODS:
                yield path.rstrip("/") or "/", verb.upper(), operation or {}


def _describe_api(api_id: str, spec: dict[str, Any]) -> None:
    api = private.rest_api(api_id)
    if media_types := spec.get("x-amazon-apigateway-binary-media-types"):
        api["binaryMediaTypes"] = media_types
    if policy := spec.get("x-amazon-apigateway-policy"):
        api["policy"] = json.dumps(policy)
    for kind, response in spec.get(RESPONSES, {}).items():
        status, _, body = private.API_PUT_RESPONSE(api_id, kind, response)
        if status >= 400:
            raise InvalidDefinition(f"gateway response {kind}: {body!r}")


def _create_validators(api_id: str, spec: dict[str, Any]) -> dict[str, str]:
    """Create the declared request validators; returns name → id."""
    made = {}
    for name, what in spec.get(VALIDATORS, {}).items():
        _, _, body = private.API_CREATE_VALIDATOR(api_id, {"name": name, **what})
        made[name] = json.loads(body)["id"]
    return made


def _create_models(api_id: str, spec: dict[str, Any]) -> set[str]:
    """Create a model of each schema; a schema's `$ref` is answered by the schemas beside it."""
    schemas = spec.get("components", {}).get("schemas", spec.get("definitions", {}))
    for name, schema in schemas.items():
        whole = {"components": {"schemas": schemas}, "definitions": schemas, **schema}
        private.API_CREATE_MODEL(api_id, {"name": name, "schema": json.dumps(whole)})
    return set(schemas)


def _request_models(operation: dict[str, Any], models: set[str]) -> dict[str, str]:
    """Return content type → model name of a request body."""
    found = {}
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        if name not in models:
            raise InvalidDefinition(f"request body {media_type}: name a schema by $ref")
        found[media_type] = name
    return found


def _required_parameters(operation: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    places = {"query": "querystring", "header": "header", "path": "path"}
    for parameter in operation.get("parameters", []):
        if parameter.get("in") in places:
            name = f"method.request.{places[parameter['in']]}.{parameter['name']}"
            yield name, str(parameter.get("required", False)).lower() == "true"


def _set_authorization(
    method: dict[str, Any], operation: dict[str, Any], spec: dict[str, Any]
) -> None:
    """Apply the `x-amazon-apigateway-auth` extension, which wins over `security`."""
    kind = operation.get("x-amazon-apigateway-auth", {}).get("type")
    if kind is not None:
        if str(kind).upper() not in AUTHORIZATIONS:
            raise InvalidDefinition(f"x-amazon-apigateway-auth: {kind!r} is not emulated")
        method["authorizationType"] = str(kind).upper()
        return
    asked = any(operation.get("security", spec.get("security", [])))
    if asked and method["authorizationType"] == "NONE" and not method["apiKeyRequired"]:
        raise InvalidDefinition(f"security of {method['httpMethod']} is not emulated")


def _set_integration(method: dict[str, Any], operation: dict[str, Any]) -> None:
    declared = operation.get("x-amazon-apigateway-integration", {})
    if method["methodIntegration"]:
        method["methodIntegration"].update(
            {name: declared[name] for name in INTEGRATION_MEMBERS if name in declared}
        )
