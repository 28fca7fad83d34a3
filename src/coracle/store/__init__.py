"""Drivers of core's Store Protocol: what keeps the state of a cloud."""
