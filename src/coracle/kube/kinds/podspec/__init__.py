"""What pods and everything that makes pods have in common: the pod's `spec`, filled in, checked and counted."""
