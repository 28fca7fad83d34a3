"""`develop.watch`: files that change here are brought into containers, or their services are built or started anew.

    tree        which files have changed: inotify, every directory below what is watched
    bursts      until when to wait for more of them
    rules       which rule a file falls under, what is left out: pure
    decisions   what is to be done about a burst: pure
    archive     the files of a burst as a tar

Source: Compose Specification, "Compose Develop Specification"; behaviour and texts are Compose v2's.
"""
