"""Short forms made long: after this, every field has one shape, whichever way it was written.

`canonical(model, setting)` walks a model by tables of `field -> shape`, where a shape is a function of
`(value, path, setting)`.  Sizes become text of bytes, durations text as Go writes them, relative paths absolute.
"""

from coracle.compose.canonical.model import canonical
from coracle.compose.canonical.shapes import Setting

__all__ = ["Setting", "canonical"]
