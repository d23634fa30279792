#!/usr/bin/env python3
"""Writes docs/openapi.yml, the API's description for clients, from 02-build-pipeline.yml.

Usage: export_openapi.py [OUT]
The template holds the API's only definition. What only API Gateway reads is left out here, and
the address, which a stack has and a template has not, becomes a variable.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from cfn_template import Resolver, load

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "02-build-pipeline.yml"
OUT = ROOT / "docs/openapi.yml"
HEADER = "# Made by scripts/export_openapi.py from 02-build-pipeline.yml; change that one.\n"
SERVER = {
    "url": "https://{api}.execute-api.{region}.amazonaws.com/{stage}",
    "description": "the stack's outputs DevPredictUrl and ProdPredictUrl name the whole address",
    "variables": {
        "api": {"default": "apiurl", "description": "output ApiId of the stack"},
        "region": {"default": "us-east-1"},
        "stage": {"default": "dev", "enum": ["dev", "prod"]},
    },
}


def openapi(template: dict[str, Any], **parameters: str) -> dict[str, Any]:
    """Return the OpenAPI document of a stack with these parameters, defaults for the rest."""
    body = template["Resources"]["PredictApi"]["Properties"]["DefinitionBody"]
    resolved = Resolver(template, parameters)(_for_clients(body))
    return {"openapi": resolved.pop("openapi"), "info": resolved.pop("info")} | {
        "servers": [SERVER],
        "paths": resolved["paths"],
        "components": resolved["components"],
    }


def as_yaml(document: dict[str, Any]) -> str:
    """Return the document as the text of the file."""
    return HEADER + yaml.safe_dump(document, sort_keys=False, width=96, allow_unicode=True)


def _for_clients(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _for_clients(value)
            for key, value in node.items()
            if not key.startswith("x-amazon-") or key == "x-amazon-apigateway-authtype"
        }
    return [_for_clients(item) for item in node] if isinstance(node, list) else node


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    out.write_text(as_yaml(openapi(load(TEMPLATE))), encoding="utf-8")
    print(f"wrote {out}")
