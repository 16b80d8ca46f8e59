"""How directors tell each other of connections."""

# In datagrams that the kernel collects for up to 2 s, and looks for once a second (net/netfilter/ipvs/ip_vs_sync.c). A
# younger connection may be unknown to the other director, which resets it.
TOLD_AFTER_S = 3.1
