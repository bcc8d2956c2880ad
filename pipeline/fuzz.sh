#!/bin/sh
# Feeds every parser invented input, MINUTES each (10), or only those whose
# target's name has ONLY in it: go test -fuzz knows which input reaches code that
# none did before, and changes that further. An input that fails stays in the
# package's testdata/fuzz, where every go test tries it again; so does, in the
# end, a selection of those that reached something new.
set -eu
kept=30        # inputs a target, at most
longest=4096   # bytes of one
cache=$(go env GOCACHE)/fuzz/$(go list -m)

targets=$(grep -rno --include='*_test.go' "^func Fuzz[A-Za-z]*${ONLY:-}[A-Za-z]*" pipeline | sort)
[ -n "$targets" ] || { echo "fuzz: no target has $ONLY in its name" >&2; exit 1; }
printf '%s\n' "$targets" | while IFS=: read -r file _ function; do
	package=$(dirname "$file") target=${function#func }
	printf 'fuzz      %s %s\n' "$package" "$target" >&2
	go test "./$package" -run '^$' -fuzz "^$target\$" -fuzztime "${MINUTES:-10}m" -fuzzminimizetime 2s || exit 1
	[ -d "$cache/$package/$target" ] || continue
	mkdir -p "$package/testdata/fuzz/$target"
	# Evenly from the shortest to the longest.
	find "$cache/$package/$target" -type f -size -"$longest"c -printf '%s %p\n' | sort -n |
		awk -v kept=$kept '{ name[NR] = $2 } END { step = NR > kept ? NR / kept : 1; for (i = 1; i <= NR; i += step) print name[int(i)] }' |
		while read -r input; do cp "$input" "$package/testdata/fuzz/$target/"; done
done
