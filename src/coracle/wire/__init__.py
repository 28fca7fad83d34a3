"""Framings that no library gives us, as pure state machines: bytes in, events out."""
