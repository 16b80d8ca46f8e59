"""pools.json: well formed, and of one mind with the lists of servers that nginx reads."""

from __future__ import annotations

from pydantic import ValidationError

from holdfast.agent.admission.findings import odd_characters, refuse, shown
from holdfast.agent.server_lists import endpoints, list_path
from holdfast.bundle import Bundle, BundleFile, ProbedPool, ProbedPools
from holdfast.findings import Finding


def check(file: BundleFile, bundle: Bundle) -> list[Finding]:
    """Everything in the file that is not allowed, or does not fit the bundle's lists."""
    found = odd_characters(file.path, file.content, "ADM700")
    if found:
        return found
    try:
        pools = ProbedPools.model_validate_json(file.content).pools
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "its beginning"
        return [refuse("ADM701", f"at {where}: {first['msg']}", file.path, hint="compile it again")]
    asked = {list_path(upstream): pool for pool in pools for upstream in pool.upstreams}
    if len(asked) != sum(len(pool.upstreams) for pool in pools):
        found.append(refuse("ADM702", "an upstream belongs to two pools", file.path))
    for path, pool in asked.items():
        found += _check_list(file, path, bundle.file(path), pool)
    return found


def _check_list(file: BundleFile, path: str, listed: BundleFile | None, pool: ProbedPool) -> list[Finding]:
    named = endpoints(listed.content) if listed else ()
    if sorted(named) == sorted(server.endpoint for server in pool.servers):
        return []
    message = f"the servers of pool {pool.pool} are not those of {shown(path)}"
    return [refuse("ADM702", message, file.path)]
