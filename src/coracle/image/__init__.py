"""Images: names, blobs by digest, snapshots, images from Debian packages, registries and archives."""
