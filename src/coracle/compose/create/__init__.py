"""A project in Docker's words: what is asked of Docker's API for its containers, networks and volumes.  Pure.

    containers   a service -> the body of POST /containers/create; its name; when a container is out of date
    resources    its limits and devices         mounts     what it mounts
    attaching    its networks, ports and links  files      configs and secrets that are copied into it
    networks     the body of POST /networks/create
    volumes      the body of POST /volumes/create
    labels       the labels that tell whose a thing is

A container of ours looks as one that Compose v2.29 made, over the same API.  `prepared` (preparing.py) comes first: it
puts what only the user's side knows into the model, and refuses or warns of what is not supported.
"""
