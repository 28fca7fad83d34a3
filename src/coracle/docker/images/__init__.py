"""Docker's images: listing, naming, pulling, pushing, archives, and registries' own questions."""
