"""Tables of the docs that say what the code says: every metric, every setting. Called by hack/generate.py and tests/unit/test_docs.py."""

import ast
import inspect
from collections.abc import Iterator

from pydantic_core import PydanticUndefined

from controller import settings
from controller.metrics import Metrics

METRICS_HEAD = "| metric | type | labels | meaning | who exposes it |"
SETTINGS_HEAD = "| variable | default | what it is, and why this default |"


def metrics() -> str:
    """Of docs/metrics.md, in the order of the code."""
    rows = []
    for name, metric in Metrics().names().items():
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
        rows.append(f"| `{name}` | {metric.kind} | {labels} | {metric.text} | {', '.join(metric.roles)} |")
    return "\n".join([METRICS_HEAD, "|---|---|---|---|---|", *rows]) + "\n"


def variables() -> Iterator[tuple[str, str, str]]:
    """Name, default and reason of every environment variable, in the order of settings.py."""
    for section in vars(settings).values():
        if not (inspect.isclass(section) and issubclass(section, settings.Section)) or section is settings.Section:
            continue
        reasons = _docstrings_of_fields(section)
        for name, field in section.model_fields.items():
            yield str(field.validation_alias), _shown(field.default), reasons.get(name, "")


def variables_table() -> str:
    """Of docs/configuration.md."""
    rows = [f"| `{name}` | {default} | {reason} |" for name, default, reason in variables()]
    return "\n".join([SETTINGS_HEAD, "|---|---|---|", *rows]) + "\n"


def _docstrings_of_fields(section: type) -> dict[str, str]:
    [body] = ast.parse(inspect.getsource(section)).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            found[field.target.id] = " ".join(str(ast.literal_eval(after.value)).split())
    return found


def _shown(default: object) -> str:
    if default is PydanticUndefined:
        return "required"
    return "unset" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"
