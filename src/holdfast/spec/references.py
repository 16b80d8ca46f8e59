"""What no single field can tell: names that must exist, addresses that must fit, numbers that must agree."""

from __future__ import annotations

from holdfast.findings import Finding

from . import (
    reference_rules_l7,
    reference_rules_lvs,
    reference_rules_lvs_servers,
    reference_rules_lvs_settings,
    reference_rules_origin,
    reference_rules_vrrp,
)
from .cluster import ClusterSpec
from .positions import Positions

_RULES = (
    *reference_rules_vrrp.RULES,
    *reference_rules_l7.RULES,
    *reference_rules_lvs.RULES,
    *reference_rules_lvs_servers.RULES,
    *reference_rules_lvs_settings.RULES,
    *reference_rules_origin.RULES,
)


def check_references(spec: ClusterSpec, positions: Positions) -> list[Finding]:
    """Run every rule; findings come in the order of the rules."""
    return [
        Finding(
            code=mistake.code,
            severity=mistake.severity,
            message=mistake.message,
            hint=mistake.hint,
            location=positions.at(mistake.path, key=mistake.key),
        )
        for rule in _RULES
        for mistake in rule(spec)
    ]
