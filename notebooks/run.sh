#!/bin/sh
# Executes the notebooks in place, on the results of DATASET and EXPERIMENT.
# They read only what the stages wrote. What Python needs is installed from
# Debian; pyarrow, which Debian has not, goes into build/notebooks.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'notebooks %s\n' "$*" >&2; }

# The modules may belong to the Python in PATH or to the system's.
modules='nbconvert nbclient ipykernel matplotlib pandas pip'
has() { command -v "$1" >/dev/null && "$1" -c "import $(echo "$modules" | tr ' ' ',')" >/dev/null 2>&1; }
if has python3; then
	python=python3
else
	python=/usr/bin/python3
fi
if ! has $python; then
	sh stages/install.sh jupyter-nbconvert python3-nbclient python3-ipykernel python3-matplotlib python3-pandas python3-pip
fi

export PYTHONPATH="$PWD/build/notebooks:$PWD/notebooks"
export PYTHONDONTWRITEBYTECODE=1
export PYDEVD_DISABLE_FILE_VALIDATION=1 # else the kernel talks about debugging
if ! $python -c 'import pyarrow' >/dev/null 2>&1; then
	say "installs pyarrow into build/notebooks"
	# It has to do with the numpy that Debian's pandas was built for; 22 and
	# later want another.
	$python -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --target build/notebooks 'pyarrow<22'
fi
# Nothing in an executed notebook shall depend on when and where it ran.
for notebook in exploration training; do
	say "runs $notebook.ipynb on ${DATASET:-sample}"
	$python -m nbconvert --log-level=ERROR --to notebook --execute --inplace \
		--ExecutePreprocessor.record_timing=False --ExecutePreprocessor.timeout=300 "notebooks/$notebook.ipynb"
done
