"""A client of Docker's door: small, synchronous, quick to import; no DOCKER_HOST, the cloud's own socket.

client.py      calls, streams of JSON, archives, connections taken over
frames.py      what comes out of a container, stdout and stderr told apart
terminal.py    a terminal of ours joined to one in a container
"""
