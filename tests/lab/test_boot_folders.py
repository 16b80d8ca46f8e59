"""Which file systems beside / a node has to be shown."""

from __future__ import annotations

from holdfast.lab.boot import python_folders, separate_binds, separate_layers


def test_a_separate_usr_or_var_is_overlaid_too() -> None:
    mounted = ["/", "/proc", "/usr", "/var/log", "/home", "/usrlocal", "/dev/shm"]
    assert separate_layers(mounted) == ("/usr", "/var/log")


def test_what_python_needs_on_other_file_systems_is_bound() -> None:
    mounted = ["/", "/home", "/srv/src", "/usr", "/proc"]
    needed = ["/home/me/venv", "/home/me/venv/lib/python3.11/site-packages", "/srv/src", "/usr/lib/python3", "/opt/x"]
    assert separate_binds(mounted, needed) == ("/home/me/venv", "/srv/src")


def test_nothing_is_bound_where_all_lies_on_the_root() -> None:
    assert separate_binds(["/", "/proc", "/dev/shm", "/run"], ["/home/me/venv", "/usr/lib/python3"]) == ()


def test_the_interpreter_and_holdfast_are_among_what_is_needed() -> None:
    import sys

    import holdfast

    folders = python_folders()
    assert sys.prefix in folders
    assert any(holdfast.__file__.startswith(f"{folder}/") for folder in folders)
