"""Volumes as Docker has them, and the mount points of containers."""
