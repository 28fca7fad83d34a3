"""What makes Jobs true: counting their pods, judging failures, what to start next, and the loop that applies it."""
