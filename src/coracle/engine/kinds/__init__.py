"""The engine's records: what there is, and since when, in no API's words."""

from coracle.engine.kinds import container, image, network, sandbox, volume

KINDS = (network.KIND, sandbox.KIND, container.KIND, image.KIND, volume.KIND)
