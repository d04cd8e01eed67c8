#!/bin/sh
# Make a virtual environment unless it is there, and install Kamaelia from this folder into it.
#
#     sh tools/venv.sh DIRECTORY WHAT PYTHON...
#
# WHAT is what pip is to install, such as '.' or '.[test]', or 'kamaelia[docs]' for what an extra needs where
# Kamaelia is there already, which spares compiling it again; of the PYTHONs the first that is new enough
# is used. This is a shell script because it has to run where Python may be too old for our own syntax.
set -eu

directory=$1 what=$2
shift 2

if ! "$directory/bin/python" -c "" 2>/dev/null; then
    python="" found=""
    for candidate in "$@"; do
        # A name on PATH proves nothing (pyenv has one for each Python it knows of), so each is run.
        version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        found=${found:-$version}
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        if [ -n "$found" ]; then
            echo "Kamaelia needs Python 3.11 or later; this is $found." >&2
        else
            echo "Kamaelia needs Python 3.11 or later; there is no $1 here." >&2
        fi
        exit 1
    fi
    echo "Making $directory with $python ($version)."
    rm -rf "$directory"
    # Left half made, it would be taken for a good one the next time.
    "$python" -m venv "$directory" || { rm -rf "$directory"; exit 1; }
fi

echo "Installing $what into $directory."
case $what in .*) editable=--editable ;; *) editable= ;; esac
# shellcheck disable=SC2086 # it is one word or none
PIP_DISABLE_PIP_VERSION_CHECK=1 "$directory/bin/python" -m pip install --quiet $editable "$what"
