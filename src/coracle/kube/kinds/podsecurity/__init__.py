"""Pod security: the standards that namespaces ask for by label, and the admission that holds pods to them."""
