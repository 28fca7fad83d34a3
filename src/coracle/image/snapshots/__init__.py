"""Layers unpacked once, and a writable view of them for each container.  `api` says what a Snapshotter is."""
