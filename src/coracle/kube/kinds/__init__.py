"""One module per kind: names, defaults, rules, columns."""
