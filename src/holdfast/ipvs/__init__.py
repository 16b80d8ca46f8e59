"""The kernel's IPVS table: read over netlink, turned into rates, compared with what it should be."""
