"""`holdfast validate SPEC`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .inputs import compile_input
from .output import print_findings, print_json, stderr, stdout, went_well

SpecPath = Annotated[Path, typer.Argument(metavar="SPEC", help="The cluster's YAML file.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]


def validate(spec: SpecPath, as_json: AsJson = False) -> None:
    """Check a spec, and that every program can express it. Nothing is written.

    Example:  holdfast validate cluster.yaml
    """
    from holdfast.compile.compiler import compile_cluster

    source = compile_input(spec, choose=True)
    bundles = compile_cluster(source)
    findings = source.loaded.findings
    if as_json:
        print_json(
            {
                "ok": True,
                "cluster": source.loaded.spec.cluster,
                "nodes": sorted(bundles),
                "findings": [finding.model_dump(mode="json") for finding in findings],
            }
        )
        return
    print_findings(findings, stderr())
    counted = f", {len(findings)} finding{'s' if len(findings) > 1 else ''}" if findings else ""
    told = f"{spec}: cluster {source.loaded.spec.cluster}, {len(bundles)} nodes to configure{counted}"
    stdout().print(went_well(told))
