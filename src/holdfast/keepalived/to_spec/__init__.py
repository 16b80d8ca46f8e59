"""From keepalived.conf files to a spec: `import_nodes`, and what it could not carry over."""

from .convert import Imported, import_nodes
from .losses import Left

__all__ = ["Imported", "Left", "import_nodes"]
