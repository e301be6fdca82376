# shellcheck shell=bash
# What the scripts share. Sourced, never run.

say() { printf '%s\n' "$*" >&2; }

# Something the user can mend: one plain sentence, exit code 2.
fail() {
    say "$*"
    exit 2
}

# Prints the interpreter to build the environment with: $PYTHON, else the first that is new enough and can make one.
# 3.11 comes first because the locks were made and tested with it. A name on the PATH proves little: version managers
# leave commands for versions that they have not installed, so each candidate is run.
choose_python() {
    local candidate version too_old='' without_venv=''
    for candidate in ${PYTHON:-python3.11 python3 python3.12 python3.13}; do
        version=$("$candidate" -c 'import platform; print(platform.python_version())' 2>/dev/null) || continue
        if ! "$candidate" -c "import sys; sys.exit(sys.version_info < (3, 11))"; then
            too_old=$version
        elif ! "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            without_venv=$version
        else
            printf '%s\n' "$candidate"
            return
        fi
    done
    if [[ -n $without_venv ]]; then
        fail "Python $without_venv is here, but its venv module is not. Install it: sudo apt-get install python3-venv"
    elif [[ -n $too_old ]]; then
        fail "This machine has Python $too_old and the studio needs 3.11 or newer. Install one, or name it: make run PYTHON=/path/to/python3.11"
    elif [[ -n ${PYTHON:-} ]]; then
        fail "PYTHON is '$PYTHON', which does not run. Name a Python 3.11 or newer: make run PYTHON=/path/to/python3.11"
    fi
    fail "There is no Python on this machine; the studio needs 3.11 or newer. Install it: sudo apt-get install python3 python3-venv"
}

# Whether an NVIDIA device is there: the driver's own list first, because nvidia-smi takes a second to answer.
nvidia_seen() {
    [[ -n $(ls -A /proc/driver/nvidia/gpus 2>/dev/null) ]] || nvidia-smi -L 2>/dev/null | grep -q '^GPU'
}
