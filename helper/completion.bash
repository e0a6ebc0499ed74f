# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2207 # words, none of which has a space in it
# Completion of migrate-helper for bash. It asks --help, so there is nothing to keep in step.

_migrate_helper()
{
	local word=${COMP_WORDS[COMP_CWORD]} words=
	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		words=$("$1" --help | sed -nE 's/^  (-*[a-z]+[a-z-]*).*/\1/p')
	elif [[ $word == -* ]]; then
		words=$("$1" "${COMP_WORDS[1]}" --help 2> /dev/null |
			grep -oE -e '--[a-z][a-z-]*')
	fi
	COMPREPLY=($(compgen -W "$words" -- "$word"))
}

complete -o default -F _migrate_helper migrate-helper
