"""Kubernetes: the API, its kinds, and the loops that make them true."""
