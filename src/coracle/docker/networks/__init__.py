"""Docker's networks: made, described, connected to; and what a container's networking says to the engine."""
