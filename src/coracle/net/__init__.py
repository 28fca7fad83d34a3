"""Networks, plugs, forwards and names: the NetDriver Protocol and its drivers."""
