"""In which form the client wants its answer: the object, a Table of it, or its metadata only.

Source: Kubernetes API concepts, "Alternate representations", "Receiving resources as Tables".
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

from coracle.core.errors import Unsupported
from coracle.web.messages import Request

Form = Literal["object", "table", "metadata"]

_AS: dict[str, Form] = {
    "": "object", "Table": "table", "PartialObjectMetadata": "metadata", "PartialObjectMetadataList": "metadata",
}  # fmt: skip
_VERSIONS = ("v1", "v1beta1")  # of those forms
_ACCEPTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"


def wanted_form(request: Request, spoken: Collection[str] = get_args(Form)) -> Form:
    """The first form that the client accepts and that is `spoken` here.  Raises Unsupported (406)."""
    for media in request.accepted():
        if not media.covers("application/json") and media.type != "application/yaml":
            continue
        form = _AS.get(media.params.get("as", ""))
        if form != "object" and media.params.get("v", "v1") not in _VERSIONS:
            continue
        if form not in spoken:
            continue
        if form == "object" or (form is not None and media.params.get("g") == "meta.k8s.io"):
            return form
    raise Unsupported(f"only the following media types are accepted: {_ACCEPTED}", status=406)
