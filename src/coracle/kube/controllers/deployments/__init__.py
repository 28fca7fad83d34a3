"""What makes Deployments true: versions, sizes, progress, and the loop that applies them."""
