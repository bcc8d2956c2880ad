#!/bin/sh
# prove.sh one [NAME...]|two|three: a part of the proof on this machine, which has an
# NVIDIA driver and cuDNN 9 (PyTorch's package brings one). Needs no root, no
# network and no Go. One JSON and one Markdown go into the folder $OUT, or else
# beside this file. A part takes less than nine minutes and keeps nothing.
set -eu
bundle=$(cd "$(dirname "$0")" && pwd)
export OUT="${OUT:-$bundle}"
mkdir -p "$OUT"
python=$(command -v python3 || command -v python || true)

if [ "${1:-}" = two ]; then
	[ -n "$python" ] || { echo 'prove.sh: there is no Python here for part two' >&2; exit 1; }
	exec "$python" "$bundle/compiled.py" "$OUT"
fi
case "${1:-}" in one | three) ;; *) echo 'usage: prove.sh one [NAME...]|two|three' >&2; exit 2 ;; esac
part=$1
shift
set -- "$part" "$bundle" "$@"

# cuDNN beside PyTorch, wherever that was installed.
if [ -z "${CUDNN_LIBRARY:-}" ] && [ -n "$python" ]; then
	found=$("$python" - <<'PYTHON' 2>/dev/null || true
import importlib.util, pathlib
for name in "nvidia.cudnn", "torch":
    try:
        spec = importlib.util.find_spec(name)
    except ImportError:
        continue
    for place in spec.submodule_search_locations if spec else []:
        for library in pathlib.Path(place).glob("lib/libcudnn.so.9"):
            print(library)
PYTHON
)
	found=$(printf '%s\n' "$found" | head -n 1)
	[ -z "$found" ] || export CUDNN_LIBRARY="$found"
fi

# The libraries of the bundle come after the machine's own places for the
# driver. Its C library is only for machines whose own is older.
libraries=$bundle/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
if LD_LIBRARY_PATH=$libraries "$bundle/bin/proof" >/dev/null 2>&1 || [ $? = 2 ]; then
	LD_LIBRARY_PATH=$libraries exec "$bundle/bin/proof" "$@"
fi
system=$(ldconfig -p 2>/dev/null | sed -n 's|.*libcuda\.so\.1 .*=> \(.*\)/libcuda\.so\.1$|\1|p' | head -n 1)
exec "$bundle/libc/ld-linux-x86-64.so.2" --library-path "$bundle/libc:$libraries${system:+:$system}" "$bundle/bin/proof" "$@"
