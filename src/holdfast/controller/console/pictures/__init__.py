"""What pages show, as values: pure functions of what operations answer, without any web."""
