"""Coracle: a whole cloud you can carry."""
