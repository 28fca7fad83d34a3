"""Containers' files through Docker's API: cp, export, diff."""
