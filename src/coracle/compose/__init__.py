"""Compose files: read, checked and made one model.

    files ─ source ─ interpolation ─ schema ─ canonical ─ extends ─ include ─ merging ─ project ─ checks
    which   YAML     $VARIABLES      allowed   one form    borrow    bring in  override  defaults  references

`loader.load` walks this way; every step is a pure function over plain dicts and lists, and `places` says in which file
and line a value was written.  Behaviour and texts are those of Compose v2, which is the oracle of our tests; the rules
are the Compose Specification's, whose schema (`compose-spec.json`, Apache-2.0, see `compose-spec.NOTICE`) comes along.
"""
