"""An encoder to numbers."""
