"""How each program of a bundle is validated, reloaded and verified: one file a program, and nothing from a bundle."""
