# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # cache of lib.sh; source, suites of a conf; the rest of who sources this
# Kernels that are built here from Debian's source packages. Wants lib.sh and apt.sh.
#	$source   the package
#	$suites   where it is, words
#	$view     a name for apt's view of them
#	$tree     where the source is to be
#	$dir      what is built: make.log, and build/

# source_version FILE: asked for once and kept there, so that kernel and modules stay of one source.
source_version()
{
	if [ ! -s "$1" ]; then
		mkdir -p "${1%/*}"
		# shellcheck disable=SC2086 # words
		apt_view "$view" $suites >&2
		apt-cache "${apt_view[@]}" show "$source" |
			sed -n '0,/^Version: /s///p' > "$1"
	fi
	[ -s "$1" ] || die "$source is not in the archive"
	cat "$1"
}

# source_unpack VERSION
source_unpack()
{
	local work
	say "fetching $source $1"
	mkdir -p "$cache/source"
	work=$(mktemp -d "$cache/source/work.XXXXXX")
	# shellcheck disable=SC2064 # the folder of now
	trap "rm -rf '$work'" EXIT
	# shellcheck disable=SC2086 # words
	apt_view "$view" $suites
	apt_download "$work" "$source=$1" >&2 ||
		die "the archive no longer has $source=$1: make distclean"
	dpkg -x "$work"/*.deb "$work/deb"
	rm "$work"/*.deb
	mkdir "$work/tree"
	tar -C "$work/tree" -xJf "$work/deb/usr/src/$source.tar.xz" \
		--strip-components=1
	mv "$work/tree" "$tree"
	rm -rf "$work"
	trap - EXIT
}

# kernel_make ARGUMENT...: what it says is only of interest when it fails.
kernel_make()
{
	make -C "$tree" O="$dir/build" -j"$(nproc)" "$@" > "$dir/make.log" 2>&1 || {
		grep -E -B2 -A8 'error|Error|\*\*\*' "$dir/make.log" | head -n 40 >&2
		die "make $* failed: $dir/make.log"
	}
}

# kernel_configure FILE ARGUMENT...: only what FILE says
kernel_configure()
{
	local config=$1
	shift
	mkdir -p "$dir/build"
	kernel_make KCONFIG_ALLCONFIG="$config" "$@" allnoconfig
	if grep '^CONFIG_' "$config" | grep -vxFf "$dir/build/.config" >&2; then
		die "options that do not come out so, see $dir/build/.config"
	fi
}
