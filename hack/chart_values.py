"""What the chart's values.yaml says about itself in comments: its JSON Schema, and the table of its README. Called by hack/generate.py.

Above a key may stand `# -- ` with what the value means, and `# @schema ` with JSON Schema, in YAML's flow form, that adds to what the
default says by itself: a type, and for a mapping its keys and no others. Three words in it are ours, and are taken out:

- `group: pod` puts a key into a group, `accepts: [pod]` lets a mapping take the keys of a group beside its own;
- what `$ref: "#/$defs/texts"` and the like refer to stands in `DEFINITIONS`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Schema = dict[str, Any]
HEAD = "| value | default | meaning |"

_NAME = {"type": "string", "minLength": 1}
DEFINITIONS: Schema = {
    "texts": {"type": "object", "additionalProperties": {"type": "string"}},
    "object": {"type": "object"},
    "objects": {"type": "array", "items": {"type": "object"}},
    "named": {"type": "object", "required": ["name"], "properties": {"name": _NAME}},
    "mount": {"type": "object", "required": ["name", "mountPath"], "properties": {"name": _NAME, "mountPath": _NAME}},
    "env": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": _NAME, "value": {"type": "string"}, "valueFrom": {"type": "object"}},
        "additionalProperties": False,
    },
    "quantity": {"type": ["string", "number"], "pattern": "^[0-9.]+([EPTGMk]i?|m|e[0-9]+)?$"},
    "quantities": {"type": "object", "additionalProperties": {"$ref": "#/$defs/quantity"}},
    "resources": {
        "type": "object",
        "properties": {"requests": {"$ref": "#/$defs/quantities"}, "limits": {"$ref": "#/$defs/quantities"}},
        "additionalProperties": False,
    },
    "duration": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"},
    "requestsPerMinute": {"type": "integer", "anyOf": [{"const": 0}, {"minimum": 10}]},
    "ports": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1, "maximum": 65535}},
    "cidrs": {"type": "array", "items": {"type": "string", "pattern": "^[0-9a-fA-F.:]+/[0-9]{1,3}$"}},
    "peers": {
        "type": "array",
        "items": {
            "type": "object",
            "minProperties": 1,
            "properties": {"ipBlock": {"type": "object"}, "namespaceSelector": {"type": "object"}, "podSelector": {"type": "object"}},
            "additionalProperties": False,
        },
    },
}
"""Kubernetes' own types, as far as a slip of the pen can be seen in them: the rest is left to the API server."""


@dataclass(frozen=True)
class Value:
    """A key of values.yaml: its dotted path, default, comments, and the keys below it (none where it is a value of its own)."""

    path: str
    default: Any
    text: str
    schema: Schema
    below: Mapping[str, "Value"] = field(default_factory=dict)


def read(source: str) -> Value:
    """The whole of values.yaml. Raises ValueError, with the path, where a key has no meaning or no type."""
    node = yaml.compose(source, Loader=yaml.SafeLoader)
    assert isinstance(node, yaml.MappingNode)
    return Value("", yaml.safe_load(source), "", {}, _below("", node, yaml.safe_load(source), source.splitlines()))


def schema(values: Value) -> str:
    """values.schema.json."""
    groups = _groups(values)
    whole: Schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Values of solarinvest-monitor"}
    whole |= _schema(values, groups)
    # What a chart that has this one as a dependency hands down to all of them.
    whole["properties"]["global"] = {"type": "object"}
    used = json.dumps(whole)
    unused = [name for name in DEFINITIONS if f"#/$defs/{name}" not in used + json.dumps(DEFINITIONS)]
    if unused:
        raise ValueError(f"no value uses the definitions {', '.join(unused)}")
    return json.dumps(whole | {"$defs": DEFINITIONS}, indent=2) + "\n"


def table(values: Value) -> str:
    """The values with their defaults and meanings, as a table in Markdown, in the order of values.yaml."""
    rows = [f"| `{value.path}` | `{_shown(value.default)}` | {value.text} |" for value in _described(values)]
    return "\n".join([HEAD, "|---|---|---|", *rows]) + "\n"


def _below(path: str, node: yaml.MappingNode, default: Mapping[str, Any], lines: list[str]) -> dict[str, Value]:
    return {key.value: _value(f"{path}.{key.value}".lstrip("."), key, value, default[key.value], lines) for key, value in node.value}


def _value(path: str, key: yaml.Node, node: yaml.Node, default: Any, lines: list[str]) -> Value:
    comments = list(_comments_above(key.start_mark.line, lines))
    text = " ".join(line.removeprefix("-- ") for line in comments if line.startswith("-- "))
    stated: Schema = {}
    for line in comments:
        if line.startswith("@schema "):
            stated |= yaml.safe_load(line.removeprefix("@schema "))
    # A mapping without a meaning of its own stands for the keys below it.
    if isinstance(node, yaml.MappingNode) and node.value and not text:
        return Value(path, default, text, stated, _below(path, node, default, lines))
    if not text:
        raise ValueError(f"{path} has no line that begins with '# -- '")
    return Value(path, default, text, stated)


def _comments_above(line: int, lines: list[str]) -> Iterator[str]:
    """The comment lines directly above, from top to bottom, without their marks."""
    first = line
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return (text.lstrip().removeprefix("#").strip() for text in lines[first:line])


def _groups(values: Value) -> dict[str, dict[str, Value]]:
    """Group to its keys, from everywhere in the tree."""
    found: dict[str, dict[str, Value]] = {}
    for value in _described(values):
        if "group" in value.schema:
            found.setdefault(value.schema["group"], {})[value.path.rpartition(".")[2]] = value
    return found


def _schema(value: Value, groups: Mapping[str, Mapping[str, Value]]) -> Schema:
    stated = {key: what for key, what in value.schema.items() if key not in ("group", "accepts")}
    if not value.below:
        return ({} if "$ref" in stated else _type(value, stated)) | stated | {"description": value.text}
    accepted = {key: each for group in value.schema.get("accepts", ()) for key, each in groups[group].items()}
    properties = {key: _schema(each, groups) for key, each in {**accepted, **value.below}.items()}
    # Helm takes a key away where a user sets it to null: templates count on those that have a default.
    return {"type": "object", "properties": properties, "required": list(value.below), "additionalProperties": False} | stated


def _type(value: Value, stated: Schema) -> Schema:
    match value.default:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case str():
            return {"type": "string"}
        case list() if "items" in stated:
            return {"type": "array"}
    raise ValueError(f"{value.path}: its default {value.default!r} does not say what it may be; add a '# @schema' line")


def _described(value: Value) -> Iterator[Value]:
    if value.text:
        yield value
    for each in value.below.values():
        yield from _described(each)


def _shown(default: Any) -> str:
    return json.dumps(default, ensure_ascii=False)
