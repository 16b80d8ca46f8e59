"""Small bundles to roll out."""

from __future__ import annotations

from holdfast.bundle import Bundle, BundleFile, Expectations, HeldAddress, Service, VrrpExpectation


def bundle(
    node: str, text: str = "one", groups: tuple[tuple[str, int], ...] = (("www", 250),), **vrrp: object
) -> Bundle:
    """A node's bundle whose nginx.conf is `text`, in the groups given as (name, priority)."""
    peers = {"lb01": ("lb02",), "lb02": ("lb01",)}.get(node, ("other",))
    values = {"peers": peers, "vrid": 51, "interface": "eth0", "advert_interval_ms": 100, **vrrp}
    expected = tuple(
        VrrpExpectation(
            group=name,
            priority=priority,
            anchor=HeldAddress(address="169.254.255.51/32", interface="eth0"),
            addresses=(HeldAddress(address="10.0.0.3/24", interface="eth0"),),
            hold_file=f"/var/lib/holdfast/hold/{name}",
            **values,  # type: ignore[arg-type]
        )
        for name, priority in groups
    )
    return Bundle(
        cluster="shop",
        node=node,
        services=(Service.NGINX, Service.KEEPALIVED),
        files=(BundleFile(path="/etc/holdfast/nginx/nginx.conf", content=f"# {text}\n"),),
        expected=Expectations(vrrp=expected),
    )
