"""What a failure is called in Kubernetes' words, to clients and in Events.

Source: apimachinery/pkg/api/errors.
"""

from __future__ import annotations

import functools

from coracle.core import errors
from coracle.core.errors import CloudError, Invalid
from coracle.core.kind import Kind
from coracle.kube.kinds.catalogue import kinds

TERMINATING = "because it is being terminated"
_MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def said(error: CloudError) -> str:
    """`pods "web-0" already exists`"""
    return message(error, _by_type().get(error.kind)) or str(error)


def is_of_ending_namespace(error: CloudError) -> bool:
    """Whether it was refused because its namespace goes: so will everything else there."""
    return isinstance(error, errors.Forbidden) and TERMINATING in error.message


@functools.cache
def _by_type() -> dict[str, Kind]:
    return {kind.type: kind for kind in kinds()}


def message(error: CloudError, kind: Kind | None) -> str:
    """Of an error that is about `kind`, where it is about one of ours; "" where there is nothing to say."""
    resource, name = kind.resource if kind else error.kind, error.name
    match error:
        case Invalid():
            return _invalid(error, kind)
        case errors.NotFound() if not error.message and resource:
            return f'{resource} "{name}" not found'
        case errors.AlreadyExists() if not error.message and resource:
            return f'{resource} "{name}" already exists'
        case errors.Conflict() if resource and "cannot be fulfilled" not in error.message:
            return f'Operation cannot be fulfilled on {resource} "{name}": {error.message or _MODIFIED}'
        case errors.Forbidden() if resource and "forbidden" not in error.message:
            return f'{resource} "{name}" is forbidden: {error.message}'
        case errors.Broken():
            return f"Internal error occurred: {error.message}"
    return error.message


def _invalid(error: Invalid, kind: Kind | None) -> str:
    """`Pod "x" is invalid: spec.containers[0].image: Required value`; several in brackets, each once."""
    if not error.problems:
        return error.message
    texts = list(dict.fromkeys(f"{problem.field}: {problem.text}" for problem in error.problems))
    shown = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return f'{_qualified(error, kind)} "{error.name}" is invalid: {shown}'


def _qualified(error: CloudError, kind: Kind | None) -> str:
    if kind is None:
        return error.kind
    return f"{kind.name}.{kind.group}" if kind.group else kind.name
