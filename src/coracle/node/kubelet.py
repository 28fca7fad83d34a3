"""How the kubelet is set up: `kubelet.yaml` in the cloud's root, else in /etc/coracle; read at `coracle up`.

A KubeletConfiguration, as Kubernetes documents it; the fields that count: coracle.kube.kubelet.configuration.
"""

from __future__ import annotations

from pathlib import Path

from coracle.core.errors import Malformed
from coracle.kube.kubelet.configuration import Settings, parse_configuration

FILE = "kubelet.yaml"
MACHINE_WIDE = Path("/etc/coracle")
_LONGEST_BYTES = 1 << 20


def read_kubelet(root: Path) -> Settings:
    """Ours, where there is no file.  Raises Malformed, with the path."""
    path = next((place / FILE for place in (root, MACHINE_WIDE) if (place / FILE).exists()), None)
    if path is None:
        return Settings()
    import yaml  # only where it is wanted: starting is to be quick

    try:
        if path.stat().st_size > _LONGEST_BYTES:
            raise Malformed("is too long")
        return parse_configuration(yaml.safe_load(path.read_text()))
    except (Malformed, yaml.YAMLError, UnicodeDecodeError) as error:
        raise Malformed(f"{path}: {error}") from error
