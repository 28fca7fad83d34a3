"""Docker's builds: POST /build and what belongs to it; the work is done by engine.builds."""
