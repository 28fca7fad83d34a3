"""Wait until every one of the addresses given as arguments answers HTTP on port 80; run inside the right namespace."""

import http.client
import sys
import time

until = time.monotonic() + 60
for address in sys.argv[1:]:
    while True:
        try:
            connection = http.client.HTTPConnection(address, timeout=2)
            connection.request("GET", "/")
            connection.getresponse().read()
            break
        except (OSError, http.client.HTTPException):
            if time.monotonic() > until:
                sys.exit(f"{address} does not answer")
            time.sleep(0.01)
