"""The command line: arguments to node."""
