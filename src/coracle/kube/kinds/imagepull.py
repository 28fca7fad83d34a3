"""ImagePull: who may use an image that was pulled with a password.  A record of the kubelet's, which is not served.

Named by the hex of the image's id; nothing is recorded of what anybody may use.  While somebody pulls with a password,
a record named by the hash of the image's name says so; it is left where the daemon ends before that is noted.

Spec
    names    by repository ("registry.lan:5000/shop/web"): the proofs of the logins that have pulled it so; none where
             anybody may use it by that name

Source: Kubernetes KEP-2535, "Ensure secret pulled images".
"""

from __future__ import annotations

import hashlib

from coracle.core.kind import Kind
from coracle.core.object import Key, Meta, Object
from coracle.image.references import parse_reference

API = "kubelet/v1"
KIND = Kind(
    name="ImagePull", plural="imagepulls", api=API, namespaced=False, name_rule="record", counts_generations=False
)


def key(image_id: str) -> Key:
    return Key("", image_id.removeprefix("sha256:"))


def intent(reference: str) -> Key:
    """Where it says that somebody pulls this.  Raises Malformed."""
    name = parse_reference(reference)
    said = f"{name.name}@{name.digest}" if name.digest else str(name)
    return Key("", hashlib.sha256(said.encode()).hexdigest())


def new(key: Key) -> Object:
    return Object(KIND.name, Meta(name=key.name), {"spec": {"names": {}}}, API)
