"""The ideas: objects, one revisioned store, rules, control loops.  No I/O, no API's words."""
