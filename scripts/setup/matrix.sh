#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# matrix.sh [--all-tests] ROW...: build each row's kernel and the module, boot it, load the module,
# run scripts/kernel/matrix.tests or the whole suite. A row's head says what must come of it:
#   expect: works         all tests pass
#   expect: refused TEXT  a line "Kconfig: ..." or "error: ..." with TEXT
# The table of all rows that have been run is build/matrix/table.md, or debug.md.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$here/row.sh"

out=$checkout/build/${series_dir}matrix
table=$out/table.md tests=1
if [ "${1:-}" = --all-tests ]; then
	shift
	table=$out/debug.md tests=''
fi
[ $# != 0 ] || die "usage: matrix.sh [--all-tests] ROW..."
for row; do row_file "$row" >/dev/null; done

# run_row ROW: its kernel, then its tests, all output to its log and to the terminal.
run_row() {
	local T=''
	[ -z "$tests" ] || T=$(row_tests "$1")
	export T ROW=$1
	# The caller asks for the status, so no command ends this by itself.
	"$here/setup.sh" kernel >"$out/$1/kernel" || return
	date +%s >"$out/$1/started"
	if [ -n "$tests" ]; then
		"$here/run-machine.sh" test --plain
	else
		"$here/run-machine.sh" test
	fi
}

# judge ROW STATUS LOG: print what came of it; fails if that is not what is expected.
judge() {
	local expected reason summary
	expected=$(row_value "$rows/$1.config" expect)
	reason=$(grep -oE '^Kconfig: .*' "$3" || grep -oE '^error: .*' "$3" | head -n 1 | sed 's/ (log: .*//')
	summary=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$3" | tail -n 1)
	case $expected in
	works)
		echo "${summary:-${reason:-no result}}"
		[ "$2" = 0 ] && [ -n "$summary" ]
		;;
	"refused "*)
		if [ "$2" != 0 ] && [[ $reason = *"${expected#refused }"* ]]; then
			echo "$expected"
		else
			echo "not refused: ${summary:-${reason:-no result}}"
			return 1
		fi
		;;
	*) die "$rows/$1.config: expect: works, or refused TEXT" ;;
	esac
}

# bash reads a script as it goes: nothing after this function, should the file change while a row
# is built.
main() {
	local row log status verdict what kernel built seconds failed=()
	for row; do
		mkdir -p "$out/$row"
		log=$out/$row/log
		rm -f "$out/$row/started" "$out/$row/kernel"
		say "=== $row: $(row_value "$rows/$row.config" for)"
		status=0
		(run_row "$row") 2>&1 | tee "$log" || status=$?
		verdict=0
		what=$(judge "$row" "$status" "$log") || verdict=$?
		[ "$verdict" = 0 ] || failed+=("$row")
		kernel=$(cat "$out/$row/kernel" 2>/dev/null || true)
		built=$(cat "$kernel/.nvmx-seconds" 2>/dev/null || echo)
		seconds=''
		[ ! -f "$out/$row/started" ] || seconds=$(($(date +%s) - $(cat "$out/$row/started")))
		printf '| %s | %s | %s | %s |\n' "$row" "${what//|/\\|}" "${built:+$(clock "$built")}" \
			"${seconds:+$(clock "$seconds")}" >"$out/$row/${table##*/}"
		say "=== $row: $what"
	done

	{
		echo '| row | result | kernel built in | tests run in |'
		echo '|---|---|---|---|'
		cat "$out"/*/"${table##*/}"
	} >"$table"
	cat "$table"
	[ ${#failed[@]} = 0 ] || die "not as expected: ${failed[*]}: see $out/ROW/log"
}

main "$@"; exit
