"""What one cloud is joined of: the engine over its drivers, and each API's side on top of it."""
