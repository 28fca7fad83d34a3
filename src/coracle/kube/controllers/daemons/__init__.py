"""What makes DaemonSets true: which nodes, which pods on each, and the loop that applies it."""
