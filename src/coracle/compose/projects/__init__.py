"""Projects as declared objects, and the loop that makes them true: the daemon's side of `coracle compose`.

    door ── declare ── preflight ── objects          what is asked becomes one object in the store
    loop ── observe ── plan, going ── deeds ── telling   and the loop makes it so, telling who waits

Everything here is a client of Docker's API, in process (`asking`), so a container of a project is like one that
Compose v2 makes over that API.  `others` listens to what other Compose clients do.
"""
