# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # for those who read this in
# Cases of tests of what stands in for CRIU's daemons. The caller sets $tmp. A case that fails says why in $fail.

tests=0 failed=0 fail=
mkdir -p "$tmp"

# check TEXT COMMAND...: a case, in TAP; after_case, where there is one, takes away what the case left
check()
{
	tests=$((tests + 1)) fail=
	if "${@:2}"; then
		echo "ok $tests - $1"
	else
		failed=$((failed + 1))
		echo "not ok $tests - $1: $fail"
		tail -n 5 "$tmp"/*.json "$tmp"/*.log "$tmp"/*/*.log 2>&1 | cut -c1-300 | sed 's/^/# /'
	fi
	! declare -F after_case > /dev/null || after_case
}

# wait_for SECONDS COMMAND...
wait_for()
{
	local i limit=$1
	shift
	for ((i = 0; i < limit * 50; i++)); do
		"$@" && return 0
		sleep 0.02
	done
	return 1
}
