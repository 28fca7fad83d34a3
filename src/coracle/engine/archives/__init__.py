"""Trees of files to tar streams and back, for `docker cp` and its like: by descriptors, with flat memory."""
