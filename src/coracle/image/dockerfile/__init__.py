"""Dockerfiles: the language, and what its instructions mean for an image's settings.  Pure; nothing is run here.

lines      a text -> logical lines: directives, continuations, comments, heredocs
words      words, quotes and ${variables}
syntax     a logical line -> an Instruction: its flags and arguments in the form of its kind
parse      the whole file -> global arguments and stages
settings   what metadata instructions change in an image's settings
ignore     .dockerignore
"""
