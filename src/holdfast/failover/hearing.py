"""Who hears whose adverts and believes them: links, partitions, unicast, what both ends must agree on (pure)."""

from __future__ import annotations

from ipaddress import ip_address

from .model import Cluster, Instance, Place, World


def hears(cluster: Cluster, world: World, sender: Place, receiver: Place) -> bool:
    """Whether an advert of `sender` reaches the instance at `receiver`, whatever it then makes of it."""
    if sender == receiver or not (world.runs(sender[0]) and world.runs(receiver[0])):
        return False
    one, other = cluster.instance(sender), cluster.instance(receiver)
    if (one.vrid, one.family, bool(one.peers)) != (other.vrid, other.family, bool(other.peers)):
        return False
    if not (world.carries(sender[0], one.interface) and world.carries(receiver[0], other.interface)):
        return False
    near = cluster.nodes[sender[0]].links.get(one.interface)
    far = cluster.nodes[receiver[0]].links.get(other.interface)
    if one.peers:
        # Unicast may cross routers; what is cut is what lies on one of the two networks.
        cut = any(world.is_cut(network or "", sender[0], receiver[0]) for network in {near, far})
        return other.source in one.peers and not cut
    return near is not None and near == far and not world.is_cut(near, sender[0], receiver[0])


def believes(receiver: Instance, sender: Instance, *, addresses: bool) -> bool:
    """Whether `receiver` takes the sender's adverts for those of its own group.

    Else each goes on as if it were alone: two masters. `addresses`: the lists of addresses are compared too.
    """
    if receiver.version != sender.version:
        return False
    if receiver.version == 2 and (receiver.secret != sender.secret or receiver.advert_s != sender.advert_s):
        return False
    return not addresses or receiver.advertised == sender.advertised


def outranks(sender: Instance, receiver: Instance) -> bool:
    """Between equal priorities: whether the sender's address is the higher one."""
    return _order(sender.source) > _order(receiver.source)


def _order(source: str) -> int:
    try:
        return int(ip_address(source))
    except ValueError:
        return 0  # an unknown source: whoever has an address wins
