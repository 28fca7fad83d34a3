"""Loops that keep Docker's promises: restart policies, removal at the end, health checks."""
