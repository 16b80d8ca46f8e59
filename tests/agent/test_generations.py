"""Generations on a real disk: staging, the swap and the way back, drift, what is not ours."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import pytest
from tests.agent.prober import pools

from holdfast.agent.generations import Generations, refuse_what_is_not_ours, relative_path, set_aside
from holdfast.agent.host.port import Places
from holdfast.agent.server_lists import down_in, marked
from holdfast.bundle import Bundle, BundleFile, Service
from holdfast.errors import ApplyError, NotOurs, PolicyRefused

USER = getpass.getuser()


def a_bundle(text: str = "one", service: Service = Service.NGINX) -> Bundle:
    path = f"/etc/holdfast/{service}/{service}.conf"
    file = BundleFile(path=path, content=text, mode=0o640, owner=USER, group=USER)
    return Bundle(cluster="shop", node="lb01", services=(service,), files=(file,))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


@pytest.fixture
def generations(places: Places) -> Generations:
    return Generations(places)


def use(generations: Generations, bundle: Bundle) -> str:
    name, fresh = generations.name_for(bundle)
    if fresh:
        generations.stage(bundle, name)
    generations.prepare_swap(name, generations.current())
    generations.swap(bundle.services, {})
    return name


def test_files_have_their_text_and_mode_and_are_reached_through_the_service(
    generations: Generations, places: Places
) -> None:
    name = use(generations, a_bundle())
    path = places.config / "nginx/nginx.conf"
    assert path.read_text() == "one"
    assert path.stat().st_mode & 0o7777 == 0o640
    assert os.readlink(places.config / "current") == f"generations/{name}"
    assert os.readlink(places.config / "nginx") == "current/nginx"
    assert generations.bundle(name) == a_bundle()
    assert (generations.folder(name) / "manifest.json").stat().st_mode & 0o077 == 0


def test_nothing_has_the_name_before_everything_is_there(generations: Generations) -> None:
    bad = a_bundle().model_copy(
        update={
            "files": (
                *a_bundle().files,
                a_bundle()
                .files[0]
                .model_copy(update={"path": "/etc/holdfast/nginx/other.conf", "owner": "nobody-has-this-name"}),
            )
        }
    )
    name, _ = generations.name_for(bad)
    with pytest.raises(ApplyError, match="nobody-has-this-name"):
        generations.stage(bad, name)
    assert not generations.folder(name).exists()


def test_what_a_link_leads_to_is_on_the_disk_before_the_link(
    generations: Generations, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut at any moment leaves the old state or the new one, whole: nothing is renamed before it is synced."""
    synced: set[int] = set()
    rename, replace, sync = os.rename, os.replace, os.fsync
    renamed: list[str] = []

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    def all_below(path: Path) -> set[int]:
        return {path.stat().st_ino, *(each.stat().st_ino for each in path.rglob("*"))}

    def staged(source: Path, target: Path) -> None:
        assert all_below(Path(source)) <= synced
        renamed.append(Path(target).name)
        rename(source, target)
        synced.discard((places.config / "generations").stat().st_ino)  # the new name is not on the disk yet

    def linked(source: Path, target: Path) -> None:
        if Path(target).name == "current":
            assert (places.config / "generations").stat().st_ino in synced
            synced.discard(places.config.stat().st_ino)
            renamed.append("current")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", staged)
    monkeypatch.setattr(os, "replace", linked)
    old = use(generations, a_bundle("one"))
    new = use(generations, pools_of_all())
    assert places.config.stat().st_ino in synced  # what is verified after this stays the one in use
    generations.swap_back(old, {})
    assert places.config.stat().st_ino in synced
    assert renamed == [old, "current", new, "current", "current"]


def pools_of_all() -> Bundle:
    """Several services, with folders in folders."""
    files = tuple(
        BundleFile(path=f"/etc/holdfast/{path}", content=path, mode=0o640, owner=USER, group=USER)
        for path in ("haproxy/haproxy.cfg", "nginx/certs/deep/a.pem", "nginx/nginx.conf")
    )
    return Bundle(cluster="shop", node="lb01", services=(Service.NGINX, Service.HAPROXY), files=files)


def test_the_way_back_is_one_rename_and_harmless_twice(generations: Generations, places: Places) -> None:
    old = use(generations, a_bundle("one"))
    new = use(generations, a_bundle("two", Service.HAPROXY))
    assert generations.current() == new
    for _ in range(2):
        generations.swap_back(old, {})
        assert generations.current() == old
        assert (places.config / "nginx/nginx.conf").read_text() == "one"
        assert not os.path.lexists(places.config / "haproxy")  # its link leads nowhere any more
    assert generations.drift(old) == ()


def test_back_to_nothing(generations: Generations, places: Places) -> None:
    use(generations, a_bundle())
    for _ in range(2):
        generations.swap_back(None, {})
        assert generations.current() is None
        assert not os.path.lexists(places.config / "nginx")


def test_drift_names_what_was_changed_removed_and_added(generations: Generations) -> None:
    name = use(generations, a_bundle())
    assert generations.drift(name) == ()
    folder = generations.folder(name)
    (folder / "nginx/nginx.conf").chmod(0o600)
    assert generations.drift(name) == ("nginx/nginx.conf",)
    (folder / "nginx/extra.conf").write_text("x")
    (folder / "nginx/nginx.conf").unlink()
    assert generations.drift(name) == ("nginx/extra.conf", "nginx/nginx.conf")


def test_an_edited_generation_is_staged_under_another_name(generations: Generations) -> None:
    name = use(generations, a_bundle())
    assert generations.name_for(a_bundle()) == (name, False)
    (generations.folder(name) / "nginx/nginx.conf").write_text("edited")
    assert generations.name_for(a_bundle()) == (f"{name}.1", True)


def test_what_is_not_ours_is_named_and_copied_aside(
    generations: Generations, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    (places.config / "nginx").mkdir(parents=True)
    (places.config / "nginx/own.conf").write_text("own")
    foreign = generations.foreign(a_bundle())
    assert foreign == (places.config / "nginx",)
    with pytest.raises(NotOurs, match="etc/holdfast/nginx") as caught:
        refuse_what_is_not_ours(foreign, ())
    assert "--adopt" in caught.value.hint
    (copy,) = set_aside(foreign, places, "a1")
    assert (Path(copy) / "own.conf").read_text() == "own"
    # After a commit it may be all that is left of somebody's file: it outlives a power cut, and its name does.
    here = [Path(copy) / "own.conf", Path(copy), *Path(copy).parents]
    assert {each.stat().st_ino for each in here[: here.index(places.state) + 1]} <= synced


def test_previous_is_the_latest_other_bundle(generations: Generations) -> None:
    assert generations.previous() is None
    for text in ("one", "two", "three"):
        generations.commit(use(generations, a_bundle(text)))
    assert generations.bundle(generations.previous()) == a_bundle("two")
    generations.commit(use(generations, a_bundle("two")))
    assert generations.bundle(generations.previous()) == a_bundle("three")


def test_five_stay_and_the_one_in_use_is_one_of_them(generations: Generations, places: Places) -> None:
    first = use(generations, a_bundle("first"))
    generations.commit(first)
    for number in range(7):
        generations.commit(use(generations, a_bundle(str(number))))
    assert len(list((places.config / "generations").iterdir())) == 5
    assert not generations.folder(first).exists()
    assert generations.current() in generations.history()


@pytest.mark.parametrize(
    "path",
    [
        "/etc/nginx/nginx.conf",
        "/etc/holdfast/nginx.conf",
        "/etc/holdfast/haproxy/haproxy.cfg",
        "/etc/holdfast/nginx/../../passwd",
        "/etc/holdfast/nginx//x",
        "/etc/holdfast/policy.toml",
    ],
)
def test_a_file_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(PolicyRefused):
        relative_path(a_bundle().files[0].model_copy(update={"path": path}), a_bundle())


def checked(text: str = "server 127.0.0.1:9001 weight=1;\n") -> Bundle:
    """With a list of servers, and what the prober asks them."""
    file = pools.server_list((9001, 9002)).model_copy(update={"owner": USER, "group": USER})
    asked = pools.pools_file((9001, 9002)).model_copy(update={"owner": USER, "group": USER})
    plain = a_bundle(text)
    files = (*plain.files, file, asked)
    return plain.model_copy(update={"services": (Service.NGINX, Service.PROBER), "files": files})


def test_marks_of_servers_that_are_down_are_no_drift_but_any_other_change_is(generations: Generations) -> None:
    bundle = checked()
    name = use(generations, bundle)
    place = generations.folder(name) / "nginx/servers/web.conf"
    clean = place.read_text()
    place.write_text(marked(clean, {"127.0.0.1:9001"}))
    assert generations.drift(name) == ()
    assert generations.name_for(bundle) == (name, False)
    (place.parent / ".web.conf.new").write_text("half")  # of a prober that was killed
    assert generations.drift(name) == ()
    place.write_text(clean.replace("weight=1", "weight=9", 1))
    assert generations.drift(name) == ("nginx/servers/web.conf",)
    place.write_text(clean)
    (place.parent / "other.conf").write_text("x")
    assert generations.drift(name) == ("nginx/servers/other.conf",)


def test_a_generation_takes_the_marks_of_the_one_in_use_also_when_it_is_used_again(generations: Generations) -> None:
    first = use(generations, checked("one"))
    place = "nginx/servers/web.conf"
    clean = (generations.folder(first) / place).read_text()
    (generations.folder(first) / place).write_text(marked(clean, {"127.0.0.1:9001"}))
    name, _ = generations.name_for(checked("two"))
    generations.stage(checked("two"), name)
    generations.carry_state(checked("two"), name)
    second = use(generations, checked("two"))
    assert down_in((generations.folder(second) / place).read_text()) == {"127.0.0.1:9001"}
    (generations.folder(second) / place).write_text(marked(clean, {"127.0.0.1:9002"}))
    generations.carry_state(checked("one"), first)
    assert down_in((generations.folder(first) / place).read_text()) == {"127.0.0.1:9002"}
    generations.carry_state(checked("two"), second)  # the one in use: nothing to do
    assert down_in((generations.folder(second) / place).read_text()) == {"127.0.0.1:9002"}
