"""Kinds that are going out of use: whoever asks for one is told so with every answer.

Source: Kubernetes documentation, "Deprecated API Migration Guide"; Warning headers (RFC 7234, 299).
"""

from __future__ import annotations

from coracle.kube.api.codec import warning_headers
from coracle.kube.api.served import Place
from coracle.web.messages import Answer

_SAID = {
    ("v1", "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
    ("v1", "endpoints"): "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}


def told(answer: Answer, place: Place) -> Answer:
    """`answer` with what is to be said of its kind, before what it says of itself."""
    said = _SAID.get((place.api, place.resource))
    if said is not None:
        own = answer.headers.get("Warning")
        text = warning_headers([said])["Warning"]
        answer.headers = {**answer.headers, "Warning": f"{text}, {own}" if own else text}
    return answer
