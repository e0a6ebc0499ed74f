# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # cache, of lib.sh
# Packages of other suites than the machine's own, from the archive that the
# machine already uses and trusts. Its own configuration is never changed.

# apt_entry RELEASE: "uri sources-entry" of that release on this machine.
apt_entry()
{
	# shellcheck disable=SC2016 # APT's variables
	apt-get indextargets --format \
		'$(CREATED_BY) $(COMPONENT) $(RELEASE) $(REPO_URI) $(SOURCESENTRY)' |
		awk -v r="$1" '$1 == "Packages" && $2 == "main" && $3 == r {
			print $4, $5; exit }'
}

# apt_source URI ENTRY DIR SUITE...: writes a source with the same options
# (Signed-By, Trusted and so on) as the machine's entry, in the same format.
apt_source()
{
	local uri=$1 file=${2%:*} nr=${2##*:} dir=$3 name
	shift 3
	name=$dir/${1##*-}
	case $file in
	*.sources)
		{
			printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' \
				"$uri" "$*"
			grep -v '^#' "$file" | awk -v n="$nr" -v RS= 'NR == n' |
				awk '/^[^ \t]/ { keep = tolower($1) !~ \
					/^(types|uris|suites|components|enabled):$/ }
					keep'
		} > "$name.sources"
		;;
	*)
		local options suite
		options=$(sed -n "${nr}s/^[^[]*\(\[.*\]\).*/\1/p" "$file")
		for suite; do
			echo "deb $options $uri $suite main"
		done > "$name.list"
		;;
	esac
}

# apt_sources DIR SUITE...: DIR gets files for APT's sources.list.d.
apt_sources()
{
	local dir=$1 codename entry suite
	local main=() security=()
	shift
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	for suite; do
		case $suite in
		*-security) security+=("$suite") ;;
		*) main+=("$suite") ;;
		esac
	done
	rm -rf "$dir"
	mkdir -p "$dir"
	entry=$(apt_entry "$codename")
	[ -n "$entry" ] || die "APT on this machine has no source for $codename"
	# shellcheck disable=SC2086
	[ ${#main[@]} = 0 ] || apt_source $entry "$dir" "${main[@]}"
	entry=$(apt_entry "$codename-security")
	# A machine may do without; the plain suite then has to serve.
	# shellcheck disable=SC2086
	[ ${#security[@]} = 0 ] || [ -z "$entry" ] ||
		apt_source $entry "$dir" "${security[@]}"
}

# apt_acquire FILE: how this machine fetches (proxy, date checks), for an APT
# that does not read the machine's configuration.
apt_acquire()
{
	apt-config dump | grep -Ei '^Acquire::(http|https|ftp|retries|check-|allow)' \
		> "$1" || true
}

# apt_view NAME SUITE...: sets the array $apt_view to options for apt-get with
# those suites, their package lists in the cache. With $arch set, that one's too.
apt_view()
{
	local dir=$cache/apt/$1
	shift
	mkdir -p "$dir/lists/partial"
	apt_sources "$dir/sources" "$@"
	apt_view=(-o Dir::Etc::SourceList=/dev/null
		  -o "Dir::Etc::SourceParts=$dir/sources"
		  -o "Dir::State::Lists=$dir/lists"
		  -o APT::Sandbox::User=root
		  -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
	[ -z "${arch:-}" ] ||
		apt_view+=(-o "APT::Architectures::=$(dpkg --print-architecture)"
			   -o "APT::Architectures::=$arch")
	[ -n "$(find "$dir/lists" -maxdepth 1 -name '*Packages*' -print -quit)" ] ||
		apt-get -qq "${apt_view[@]}" update
}

# apt_download DIR PACKAGE: the newest PACKAGE of the view, as DIR/*.deb.
apt_download()
{
	mkdir -p "$1"
	# The lists may be older than the archive: then once more, with new ones.
	(cd "$1" && apt-get -qq "${apt_view[@]}" download "$2") ||
		{ apt-get -qq "${apt_view[@]}" update &&
		  (cd "$1" && apt-get -qq "${apt_view[@]}" download "$2"); }
}

# apt_depends PACKAGE REGEX: names of those it depends on, in the view, without architecture
# (one that does not come for it is <NAME:ARCH>).
apt_depends()
{
	apt-cache "${apt_view[@]}" depends "$1" |
		sed -nE "s/^ *Depends: <?($2)(:[a-z0-9]+>?)?\$/\1/p"
}

# apt_kernels VERSION: releases of that version in the view, the newest last: those with
# headers to build for and an image to boot.
apt_kernels()
{
	apt-cache "${apt_view[@]}" pkgnames linux- |
		sed -nE "s/^linux-(headers|image|binary)-(${1//./\\.}[.+-].*-amd64)\$/\1 \2/p" |
		grep -vE -- '-(cloud|rt)-amd64$' |
		awk '$1 == "headers" { headers[$2] = 1; next }
		     { images[$2] = 1 }
		     END { for (r in headers) if (r in images) print r }' | sort -V
}
