"""The shape of imported configurations: `Origin`, with a model for each block of keepalived.conf(5)."""

from .origin import Origin, on_node
from .values import Block, Form, SecretName, Tracked

__all__ = ["Block", "Form", "Origin", "SecretName", "Tracked", "on_node"]
