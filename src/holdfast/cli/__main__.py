"""`python -m holdfast.cli` is `holdfast`."""

from .main import main

main()
