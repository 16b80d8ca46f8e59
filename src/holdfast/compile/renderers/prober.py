"""The agent's prober: what it asks the servers of pools that nginx serves, because OSS nginx asks nothing itself."""

from __future__ import annotations

import json
from collections.abc import Mapping

from holdfast.bundle import PROBER_FILE, BundleFile, Probe, ProbedPool, ProbedServer, ServerMail
from holdfast.compile.node_view import NodeView, PoolView
from holdfast.compile.rendering import Rendering, ownership
from holdfast.spec.checks import Check

from . import l7


def render(view: NodeView) -> Rendering:
    """Nothing where nginx serves no pool that has a check."""
    pools: dict[str, PoolView] = {}
    upstreams: dict[str, list[str]] = {}
    for backend, pool in l7.backends(view.engines("nginx")).items():
        if pool.check:
            pools[pool.name] = pool
            upstreams.setdefault(pool.name, []).append(backend.name)
    if not pools:
        return Rendering()
    probed = [_probed(pools[name], pools[name].check, upstreams) for name in sorted(pools)]
    body = ",\n".join(json.dumps(pool.model_dump(mode="json"), ensure_ascii=False, indent=1) for pool in probed)
    # The first line says whose the file is, as everywhere.
    first = json.dumps(ownership(view.cluster, view.node, "").strip(), ensure_ascii=False)
    mail = _mail(view)
    told = f'"mail": {json.dumps(mail.model_dump(mode="json"), indent=1)},\n' if mail else ""
    content = f'{{"_": {first},\n{told}"pools": [\n{body}\n]}}\n'
    return Rendering(files=(BundleFile(path=PROBER_FILE, content=content),))


def _mail(view: NodeView) -> ServerMail | None:
    mail = view.mail
    if mail is None or not mail.of_servers:
        return None
    return ServerMail(
        cluster=view.cluster,
        node=view.node,
        host=mail.server,
        port=mail.port,
        sender=mail.sender,
        recipients=mail.recipients,
        down=mail.server_down,
        up=mail.server_up,
    )


def _probed(pool: PoolView, check: Check | None, upstreams: Mapping[str, list[str]]) -> ProbedPool:
    assert check is not None, "pools without a check were left out"
    return ProbedPool(
        pool=pool.name,
        upstreams=tuple(upstreams[pool.name]),
        servers=tuple(ProbedServer(name=s.name, address=s.address, port=s.port) for s in pool.servers),
        min_servers=pool.min_servers,
        check=Probe(
            http=check.http,
            host=check.host,
            expect=check.codes,
            port=check.port,
            every_ms=check.every,
            timeout_ms=check.timeout,
            fall=check.fall,
            rise=check.rise,
        ),
    )
