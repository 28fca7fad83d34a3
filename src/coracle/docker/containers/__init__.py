"""Docker's containers: created, described, started, ended, removed."""
