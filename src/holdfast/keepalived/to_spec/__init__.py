"""From keepalived.conf files to a spec: `import_nodes`, and what it could not carry over.

Files are read with `folder=FOLDER_MARK`: where they lie on their nodes is not known here.
"""

from .blocks import FOLDER_MARK
from .commands import policies_of
from .convert import Imported, import_nodes
from .losses import Left
from .own_shape import OwnShape, Step, own_shape

__all__ = ["FOLDER_MARK", "Imported", "Left", "OwnShape", "Step", "import_nodes", "own_shape", "policies_of"]
