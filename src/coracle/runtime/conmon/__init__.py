"""The Runtime that drives conmon, which keeps a container, and crun (or runc), which makes it."""
