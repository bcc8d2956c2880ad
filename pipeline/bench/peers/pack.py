"""A pack through pyarrow: pack.py FILE [SHA256]"""

import hashlib
import os
import sys

import numpy
import pyarrow

from contender import serve

STRIDE = 64  # as ours


def unit():
    if len(sys.argv) > 2:
        with open(sys.argv[1], "rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == sys.argv[2]
    with pyarrow.memory_map(sys.argv[1]) as source:
        reader = pyarrow.ipc.open_file(source)
        size = int(reader.schema.metadata[b"height"]) * int(reader.schema.metadata[b"width"]) * 3
        total = 0
        for index in range(reader.num_record_batches):
            column = reader.get_batch(index).column("pixels")
            pixels = numpy.frombuffer(column.buffers()[1], numpy.uint8, len(column) * size)
            total += int(pixels[::STRIDE].sum())
        assert total > 0
    return os.path.getsize(sys.argv[1])


unit()
serve(unit, versions={"pyarrow": pyarrow.__version__, "Python": sys.version.split()[0]})
