"""Admission as a whole: every file by its service's rules, and the bundle's files, names and modes."""

from __future__ import annotations

from holdfast.agent.admission import haproxy, keepalived, network, nftables, nginx, prober, sysctl
from holdfast.agent.admission.files import check_files, service_of
from holdfast.agent.policy import Policy
from holdfast.bundle import Bundle, BundleFile, Service
from holdfast.findings import Finding

_FINDINGS_AT_MOST = 100


def admit(bundle: Bundle, policy: Policy) -> tuple[Finding, ...]:
    """What this node does not allow; the bundle may be applied only where there is none. Pure."""
    found = check_files(bundle, policy)
    for file in bundle.files:
        found += _check_content(file, bundle, policy)
    return tuple(found[:_FINDINGS_AT_MOST])


def _check_content(file: BundleFile, bundle: Bundle, policy: Policy) -> list[Finding]:
    match service_of(file):
        case Service.SYSCTL:
            return sysctl.check(file)
        case Service.NETWORK:
            return network.check(file)
        case Service.NFTABLES:
            return nftables.check(file)
        case Service.NGINX:
            return nginx.check_list(file) if file.state else nginx.check(file)
        case Service.HAPROXY:
            return haproxy.check(file)
        case Service.PROBER:
            return prober.check(file, bundle)
        case Service.KEEPALIVED:
            return keepalived.check(file, policy)
        case None:
            return []  # its place was refused already
