"""From keepalived.conf files to a spec: `import_nodes`, and what it could not carry over.

Files are read with `folder=FOLDER_MARK`: where they lie on their nodes is not known here.
"""

from .blocks import FOLDER_MARK
from .convert import Imported, import_nodes
from .losses import Left

__all__ = ["FOLDER_MARK", "Imported", "Left", "import_nodes"]
