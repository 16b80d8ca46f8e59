"""The agent's own prober: it has read its file once its status says so."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from holdfast.agent.prober.status_file import digest_of, read_status
from holdfast.agent.server_lists import endpoints, list_path
from holdfast.agent.services.base import Before, Node
from holdfast.bundle import PROBER_FILE, Bundle, ProbedPools, Service
from holdfast.errors import ValidationFailed, VerificationFailed
from holdfast.sentences import Sentence

_POLL_S = 0.05
_READ_WITHIN_S = 60.0  # it is a Python program that may have to start first, on a slow or busy machine


class Prober:
    """See Daemon."""

    service = Service.PROBER

    def validate(self, node: Node, folder: Path) -> str:
        """See Daemon."""
        try:
            pools = ProbedPools.model_validate_json((folder / Path(PROBER_FILE).name).read_bytes()).pools
        except (FileNotFoundError, ValidationError) as error:
            raise ValidationFailed(
                "the prober cannot read what it should ask", "compile it again", str(error)
            ) from error
        for pool in pools:
            for upstream in pool.upstreams:
                path = folder.parent / "nginx" / "servers" / Path(list_path(upstream)).name
                named = set(endpoints(path.read_text(errors="replace"))) if path.is_file() else set()
                if named != {server.endpoint for server in pool.servers}:
                    raise ValidationFailed(
                        Sentence(
                            "pool %(pool)s: the servers to ask are not those of nginx's upstream %(upstream)s",
                            pool=pool.pool,
                            upstream=upstream,
                        ),
                        "compile it again",
                    )
        return f"asks the servers of {len(pools)} pool{'' if len(pools) == 1 else 's'}"

    def observe(self, node: Node, bundle: Bundle | None) -> Before:
        """See Daemon."""
        return Before(node.manager.status(self.service).running)

    def verify(self, node: Node, bundle: Bundle, before: Before) -> str:
        """See Daemon."""
        file = bundle.file(PROBER_FILE)
        wanted = digest_of(file.content.encode()) if file else ""
        deadline = node.host.monotonic() + _READ_WITHIN_S
        while True:  # ends: at the deadline
            status, said = node.manager.status(self.service), read_status(node.places)
            if status.running and said is not None and (said.pid, said.digest) == (status.pid, wanted):
                return f"works by its new file, {len(said.pools)} pool{'' if len(said.pools) == 1 else 's'}"
            if node.host.monotonic() >= deadline:
                raise VerificationFailed(
                    Sentence("the prober does not work by its new file (%(state)s)", state=status.state),
                    Sentence("read %(log)s", log=node.places.log / self.service),
                )
            node.host.sleep(_POLL_S)
