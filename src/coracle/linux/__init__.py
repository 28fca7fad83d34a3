"""Thin: system calls, netlink, cgroups, namespaces, as Linux names them."""
