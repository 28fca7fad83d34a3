"""The kubelet: makes the pods of this node true with the engine's sandboxes and containers."""
