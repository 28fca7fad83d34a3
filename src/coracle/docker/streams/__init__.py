"""Streams of containers: attach, exec, logs."""
