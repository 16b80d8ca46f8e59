"""CLUSTER's overrides beside the spec: which servers are drained, suspended or weighed for a while, by whom and why.

The file is `STEM.overrides.yaml` for a spec `STEM.yaml`. A resolved spec never contains it: an override changes no
bundle, it goes to the directors as their state.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from holdfast.errors import SpecError
from holdfast.findings import Finding, Severity
from holdfast.sentences import Sentence

from .cluster import ClusterSpec
from .load import LoadedSpec, mistakes_in, parse_model, read_text
from .positions import Path, Positions
from .values import Frozen, Name, Text, WrongError, shown

OverrideKind = Literal["drained", "suspended", "weight"]
Key = tuple[str, str | None, str | None]  # server, virtual server, pool
MOST_POOL_WEIGHT = 256  # HAProxy takes no larger one


def parse_moment(value: object) -> datetime:
    """A moment in RFC 3339, such as `2026-11-21T05:20:00Z`, in UTC; WrongError says what is right."""
    hint = Sentence("write one such as 2026-11-21T05:20:00Z")
    if isinstance(value, datetime):
        return value
    try:
        moment = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or (isinstance(value, str) and len(value.strip()) < len("2026-11-21T05:20Z")):
        raise WrongError(Sentence("%(value)s is not a moment", value=shown(value)), hint)
    if moment.tzinfo is None:
        raise WrongError(
            Sentence("%(value)s does not say in which time zone", value=shown(value)),
            Sentence("add Z for UTC, or +02:00"),
        )
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise WrongError(Sentence("%(value)s is not a moment", value=shown(value)), hint) from None


def format_moment(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds: `2026-11-21T05:20:00Z`."""
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


Moment = Annotated[datetime, BeforeValidator(parse_moment)]


class Override(Frozen):
    """What somebody decided about one server: of a pool, in one virtual server or, without either, in all of these."""

    server: Annotated[Text, Field(max_length=300)]  # as the spec writes it: web01:80
    pool: Name | None = None
    virtual_server: Name | None = None
    kind: OverrideKind
    weight: Annotated[int, Field(ge=1, le=65535, strict=True)] | None = None
    who: Annotated[Text, Field(max_length=100)] | None = None
    why: Annotated[Text, Field(max_length=500)] | None = None
    since: Moment | None = None
    until: Moment | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.kind == "weight" and self.weight is None:
            raise WrongError(Sentence("another weight, but which?"), Sentence("add `weight:` with a number"))
        if self.kind != "weight" and self.weight is not None:
            message = Sentence("a server that is %(kind)s has no weight", kind=self.kind)
            raise WrongError(message, Sentence("remove it, or write `kind: weight`"), at=("weight",))
        if self.pool is not None and self.virtual_server is not None:
            raise WrongError(
                Sentence("a server of a pool, or of a virtual server?"), Sentence("remove one"), at=("virtual_server",)
            )
        if self.pool is not None and (self.weight or 0) > MOST_POOL_WEIGHT:
            message = Sentence("%(weight)s is too large for a pool", weight=self.weight)
            raise WrongError(
                message,
                Sentence("write %(most_pool_weight)s or less", most_pool_weight=MOST_POOL_WEIGHT),
                at=("weight",),
            )
        if self.since and self.until and self.until <= self.since:
            raise WrongError(
                Sentence("it ends before it begins"), Sentence("write a later moment, or remove `until`"), at=("until",)
            )
        return self

    @property
    def key(self) -> Key:
        """What it is about: a server, in one virtual server or (None) in all, or of a pool."""
        return self.server, self.virtual_server, self.pool

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.until is not None and self.until <= now


class OverridesFile(Frozen):
    """The root of an overrides file."""

    holdfast_overrides: Literal[1] = Field(description="version of the file's language")
    cluster: Name
    servers: Annotated[tuple[Override, ...], Field(max_length=10_000)] = ()


@dataclass(frozen=True)
class LoadedOverrides:
    """Sound overrides, the text that they were read from (empty without a file), and where each stands in it."""

    overrides: tuple[Override, ...] = ()
    text: str = ""
    positions: Positions = field(default_factory=lambda: Positions("overrides", {}, {}))

    def in_force(self, now: datetime) -> tuple[Override, ...]:
        """Those whose time is not over at `now`."""
        return tuple(override for override in self.overrides if not override.expired(now))

    def expired(self, now: datetime) -> tuple[Override, ...]:
        """Those whose time is over at `now`: they do nothing any more, and may be removed."""
        return tuple(override for override in self.overrides if override.expired(now))


def overrides_path(spec_path: FilePath) -> FilePath:
    """`shop.overrides.yaml` beside `shop.yaml`."""
    return spec_path.with_name(f"{spec_path.stem}.overrides.yaml")


def load_overrides(spec_path: FilePath, loaded: LoadedSpec) -> LoadedOverrides:
    """The overrides beside the spec at `spec_path`, none where there is no file.

    SpecError lists every mistake in it, UsageError says why a file cannot be read.
    """
    path = overrides_path(spec_path)
    return parse_overrides(read_text(path), loaded.spec, str(path)) if path.exists() else LoadedOverrides()


def parse_overrides(text: str, spec: ClusterSpec, file: str = "overrides") -> LoadedOverrides:
    """Check the text of an overrides file against the spec that it belongs to; one of comments alone says nothing."""
    if not says_anything(text):
        return LoadedOverrides((), text)
    found, positions = parse_model(OverridesFile, text, file)
    mistakes = list(_mistakes(found, spec, positions))
    if mistakes:
        raise SpecError(mistakes_in(file, len(mistakes)), mistakes)
    return LoadedOverrides(found.servers, text, positions)


def says_anything(text: str) -> bool:
    """Whether there is more than comments and blank lines."""
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())


def known_servers(spec: ClusterSpec) -> dict[str, tuple[str, ...]]:
    """Every server of a virtual server as the spec writes it, with the names of its virtual servers."""
    found: dict[str, list[str]] = {}
    for name, virtual in spec.virtual_servers.items():
        for server in virtual.servers:
            found.setdefault(server.written, []).append(name)
    return {server: tuple(names) for server, names in found.items()}


def servers_meant(spec: ClusterSpec, text: str, virtual_server: str | None = None) -> tuple[str, ...]:
    """What an operator means by `web01:80`, or by `web01` (all its ports); nothing where no such server is."""
    known = [server for server, names in known_servers(spec).items() if virtual_server in (None, *names)]
    if text in known:
        return (text,)
    written = {s.written: s.host for virtual in spec.virtual_servers.values() for s in virtual.servers}
    return tuple(server for server in known if written[server] == text)


def nearest_server(spec: ClusterSpec, text: str) -> Sentence:
    """A hint for a server that is in no virtual server: the nearest that is, or what is known."""
    known = sorted(known_servers(spec))
    in_pools = [name for name, pool in spec.pools.items() if any(text in (s.written, s.host) for s in pool.servers)]
    if in_pools:
        return Sentence(
            "it is in a pool: %(pool)s/%(server)s; in an overrides file `pool: %(pool)s`", pool=in_pools[0], server=text
        )
    known += sorted(f"{name}/{server.written}" for name, pool in spec.pools.items() for server in pool.servers)
    near = difflib.get_close_matches(text, known, n=1, cutoff=0.5)
    if near:
        return Sentence("did you mean '%(near)s'?", near=near[0])
    if not known:
        return Sentence("the spec has neither virtual servers nor pools")
    return Sentence("known: %(names)s", names=", ".join(known[:12]))


def _mistakes(found: OverridesFile, spec: ClusterSpec, positions: Positions) -> Iterator[Finding]:
    if found.cluster != spec.cluster:
        message = Sentence(
            "this belongs to cluster '%(cluster)s', the spec to '%(spec_cluster)s'",
            cluster=found.cluster,
            spec_cluster=spec.cluster,
        )
        yield _finding("OVERRIDE001", positions, ("cluster",), message, Sentence("name the file after its own spec"))
    known = known_servers(spec)
    seen: dict[Key, int] = {}
    for index, override in enumerate(found.servers):
        path: Path = ("servers", index)
        if override.pool is not None and not _in_pool(spec, override.pool, override.server):
            message = Sentence(
                "no pool '%(pool)s' has a server '%(server)s'", pool=override.pool, server=override.server
            )
            hint = nearest_server(spec, f"{override.pool}/{override.server}")
            yield _finding("OVERRIDE002", positions, (*path, "server"), message, hint)
        elif override.pool is None and override.server not in known:
            message = Sentence("no virtual server has a server '%(server)s'", server=override.server)
            hint = nearest_server(spec, override.server)
            yield _finding("OVERRIDE002", positions, (*path, "server"), message, hint)
        elif override.virtual_server is not None and override.virtual_server not in known[override.server]:
            message = Sentence(
                "'%(server)s' is no server of '%(virtual_server)s'",
                server=override.server,
                virtual_server=override.virtual_server,
            )
            hint = Sentence("it serves %(known)s", known=", ".join(known[override.server]))
            yield _finding("OVERRIDE003", positions, (*path, "virtual_server"), message, hint)
        elif override.key in seen:
            message = Sentence(
                "'%(server)s' is overridden in entry %(seen)s already",
                server=override.server,
                seen=seen[override.key] + 1,
            )
            yield _finding("OVERRIDE004", positions, (*path, "server"), message, Sentence("remove one of the two"))
        seen.setdefault(override.key, index)


def _in_pool(spec: ClusterSpec, pool: str, server: str) -> bool:
    return pool in spec.pools and any(server == one.written for one in spec.pools[pool].servers)


def _finding(code: str, positions: Positions, path: Path, message: Sentence, hint: Sentence) -> Finding:
    return Finding(code=code, severity=Severity.ERROR, message=message, hint=hint, location=positions.at(path))


def message_of(override: Override) -> dict[str, Any]:
    """The override as the protocol says it: plain values, moments in RFC 3339, nothing that was left out."""
    values = override.model_dump(exclude_none=True)
    return {key: format_moment(value) if isinstance(value, datetime) else value for key, value in values.items()}
