"""The NetDriver on bridges, veth pairs and nftables."""
