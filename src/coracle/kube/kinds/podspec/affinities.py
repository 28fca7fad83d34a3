"""How affinities name what must be so when a pod is placed, and what would be better.

Source: Kubernetes v1 API, NodeAffinity, PodAffinity, PodAntiAffinity.
"""

from __future__ import annotations

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
