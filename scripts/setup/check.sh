#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# check.sh: every formatter and linter over the whole checkout. Each runs, whatever
# the others found; the exit status says whether all were clean.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$checkout"
make_build clippy

use_tools toolchain
kernel=$("$here/setup.sh" kernel-patched)
dirty=()

# files PATTERN...: of the checkout, tracked or new, ignored ones left out.
files() { git ls-files --cached --others --exclude-standard -- "$@" | sort -u; }

# check NAME COMMAND... -- FILE...
check() {
	local name=$1 command=() start=$SECONDS
	shift
	while [ "$1" != -- ]; do command+=("$1"); shift; done
	shift
	[ $# != 0 ] || { say "$name: no such files"; dirty+=("$name"); return; }
	if in_tools "${command[@]}" "$@" >&2; then
		say "$name: clean, $# files, $(clock $((SECONDS - start)))"
	else
		dirty+=("$name")
	fi
}

# Those that others source are read with them, but for what the machine's init sources.
mapfile -t shell < <(files | while read -r file; do
	[ ! -f "$file" ] || ! head -n 3 "$file" | grep -qE '^#!.*\b(ba|da|)sh\b|^# shellcheck shell=dash' || echo "$file"
done)
check shellcheck shellcheck -x -a -- "${shell[@]}"

mapfile -t rust < <(files '*.rs')
check rustfmt rustfmt --check --edition 2021 --config-path "$kernel/.rustfmt.toml" --config skip_children=true -- "${rust[@]}"

# clippy is the module's build with another driver; from nothing, since what is up
# to date is not warned about again.
rm -rf build/clippy
mkdir -p build/clippy
if in_tools make -s -C "$kernel" "M=$checkout" "MO=$checkout/build/clippy" CLIPPY=1 \
	KCFLAGS=-Werror KRUSTFLAGS=-Dwarnings modules >&2; then
	say "clippy: clean"
else
	dirty+=(clippy)
fi

# What else is built from the rules. `make test` builds the model.
for package in properties parser_fuzz; do
	if crates=$("$here/setup.sh" "$package-crates") &&
		in_tools env "CARGO_HOME=$crates" cargo check --quiet --offline --locked --tests \
			--manifest-path "selftests/$package/Cargo.toml" --target-dir "build/check-$package" >&2; then
		say "$package: builds"
	else
		dirty+=("$package")
	fi
done

if KDIR='' ROW='' "$here/setup.sh" rustdoc >/dev/null; then
	say "rustdoc: clean"
else
	dirty+=(rustdoc)
fi

if ! module=$(KDIR='' ROW='' "$here/setup.sh" module) ||
	! calls=$(panics_in "$module/rust_kvm_nvmx.ko"); then
	say "panics: there is no module to look at"
	dirty+=(panics)
elif [ -n "$calls" ]; then
	say "$calls"
	say "panics: the module calls what is above"
	dirty+=(panics)
else
	say "panics: clean"
fi

# Without git: checkpatch would ask our history about the kernel's commits.
mapfile -t c < <(files '*.c' '*.h' | grep -vE '^tlbsan/(instrument|tests)/|_trace\.h$')
checkpatch=(env GIT_DIR=/nonexistent "$kernel/scripts/checkpatch.pl" --root="$kernel" --strict --terse --no-summary --show-types)
check "checkpatch, C" "${checkpatch[@]}" --file -- "${c[@]}"
# TRACE_EVENT() has a layout of its own in all of the kernel.
mapfile -t events < <(files '*_trace.h')
check "checkpatch, tracepoints" "${checkpatch[@]}" \
	--ignore OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT --file -- "${events[@]}"
# What is off, and why, is in docs/patches.md: lists of names are no code to checkpatch, and new
# files need no MAINTAINERS entry in an out-of-tree series.
# Commits that Fixes: tags name cannot be looked up without the kernel's history.
off=FILE_PATH_CHANGES,UNKNOWN_COMMIT_ID,EXPORT_SYMBOL,MACRO_ARG_PRECEDENCE,MACRO_ARG_REUSE
off+=,MACRO_ARG_UNUSED,MULTISTATEMENT_MACRO_USE_DO_WHILE,TRAILING_SEMICOLON
mapfile -t patches < <(files 'patches/*.patch' 'selftests/removals/*.patch' 'selftests/history/*.patch')
check "checkpatch, patches" "${checkpatch[@]}" --codespell --ignore "$off" -- "${patches[@]}"

# On top of the series.
removals=selftests/removals/linux-$KERNEL_SERIES.patch
[ ! -f "$removals" ] ||
	check "patch, removals" patch --dry-run --quiet --force -p1 -F0 -d "$kernel" -i -- "$checkout/$removals"

mapfile -t sources < <(files 'rust_kvm_nvmx/*.rs')
check structure python3 -B scripts/machine/check_structure.py -- "${sources[@]}"

check edits python3 -B scripts/machine/check_edits.py --kernel "$kernel" -- selftests/mutants.toml

if ! "$here/check-policy.sh"; then dirty+=(policy); fi

mapfile -t python < <(files '*.py')
ruff=$("$here/setup.sh" ruff)
check ruff "$ruff/bin/ruff" check --no-cache --line-length 100 -- "${python[@]}"
check "ruff format" "$ruff/bin/ruff" format --no-cache --line-length 100 --check -- "${python[@]}"

check rules python3 -B scripts/machine/check_rules.py -- docs/rules.md

check pictures python3 -B scripts/machine/check_pictures.py -- docs/one-flush.svg

mapfile -t unlicensed < <(files ':!patches' ':!*.md' ':!COPYING' ':!*.lock' | while read -r file; do
	[ ! -f "$file" ] || head -n 3 "$file" | grep -q SPDX-License-Identifier || echo "$file"
done)
if [ ${#unlicensed[@]} = 0 ]; then
	say "SPDX: clean"
else
	say "SPDX: no SPDX-License-Identifier in the first 3 lines: ${unlicensed[*]}"
	dirty+=(SPDX)
fi

mapfile -t text < <(files ':!*.patch' ':!COPYING' ':!*.lock')
check columns python3 -B scripts/machine/check_columns.py -- "${text[@]}"

[ ${#dirty[@]} = 0 ] || die "not clean: $(printf '%s; ' "${dirty[@]}")"
say "all clean"
