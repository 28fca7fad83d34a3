"""The edge: HTTP requests of Kubernetes clients to verbs of collections and back."""
