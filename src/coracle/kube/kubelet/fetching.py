"""Fetching an image as one who may: by each of a pod's logins in turn."""

from __future__ import annotations

import contextlib

from coracle.core.errors import CloudError
from coracle.core.kind import Reader
from coracle.core.object import Object
from coracle.engine.images import Images, Policy
from coracle.image.references import parse_reference
from coracle.image.terms import NOBODY, Terms
from coracle.kube.kubelet.credentials import logins, pull_secrets


async def fetch(images: Images, pod: Object, reference: str, policy: Policy, reader: Reader) -> Object:
    """The image, by the first login that gets it; without one that fits, as the node is known.  `reader`: of Secrets.

    Raises: Malformed (the name), else what the last attempt met.
    """
    found, _ = pull_secrets(pod, reader)
    *others, last = logins(found, parse_reference(reference)) or (NOBODY,)
    for login in others:
        with contextlib.suppress(CloudError):
            return await images.ensure(reference, policy, terms=Terms(login))
    return await images.ensure(reference, policy, terms=Terms(last))
