"""Images from Dockerfiles: stages as a graph, steps in containers or by our own copier, and a cache of what was done.

service      Builds: one build from its context to its image; what it leaves is swept at start
plan         which stages are needed, which wait for which
stages       one stage, instruction by instruction
run, copy    the instructions that make layers
state        the image as it is after a step
cache        steps that were done before
context      the files that came with a build
"""
