"""ImagePull: who may use an image that was pulled with a password.  A record of the kubelet's, which is not served.

Named by the hex of the image's id; nothing is recorded of what anybody may use.

Spec
    names    by repository ("registry.lan:5000/shop/web"): the proofs of the logins that have pulled it so; none where
             anybody may use it by that name

Source: Kubernetes KEP-2535, "Ensure secret pulled images".
"""

from __future__ import annotations

from coracle.core.kind import Kind
from coracle.core.object import Key, Meta, Object

API = "kubelet/v1"
KIND = Kind(
    name="ImagePull", plural="imagepulls", api=API, namespaced=False, name_rule="record", counts_generations=False
)


def key(image_id: str) -> Key:
    return Key("", image_id.removeprefix("sha256:"))


def new(image_id: str) -> Object:
    return Object(KIND.name, Meta(name=key(image_id).name), {"spec": {"names": {}}}, API)
