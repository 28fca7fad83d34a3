"""One control loop per module."""
