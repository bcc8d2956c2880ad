"""How a peer speaks with the bench: see contender.go."""

import json
import sys
import time


def serve(unit, **greeting):
    """Greets, then calls unit() for as many seconds as each line of the input asks for.

    unit returns how many images, photos or bytes it dealt with.
    """
    print(json.dumps(greeting), flush=True)
    for line in sys.stdin:
        seconds, units = float(line), 0
        started = time.perf_counter()
        while not units or time.perf_counter() - started < seconds:
            units += unit()
        print(json.dumps({"units": units, "seconds": time.perf_counter() - started}), flush=True)
