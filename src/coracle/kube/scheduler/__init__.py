"""Which node a pod goes to: filters, scores, binding."""
