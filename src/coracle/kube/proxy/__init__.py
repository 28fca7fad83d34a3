"""The proxy: Services become Forwards in the kernel and names in the cluster's DNS; no packet passes through us."""
