# shellcheck shell=bash
# What `try` and `try-pi` have in common: a Mosquitto on free ports of the loopback interface, a record of what comes
# there, and waiting with a limit. Sourced; the sourcing script has `set -euo pipefail`.

LIMIT=${LIMIT:-180} # seconds to wait for anything: an emulated board on a busy machine is slow
work=$(mktemp -d)   # the broker's files, and those of the sourcing script
chmod 755 "$work"   # Mosquitto gives up its rights before it reads them
children=()
trap finish EXIT

finish() {
    local status=$? i
    # The last one first: what talks to the broker before the broker.
    for ((i = ${#children[@]} - 1; i >= 0; i--)); do kill -- "${children[i]}" 2>/dev/null || true; done
    wait 2>/dev/null || true
    if [ "$status" = 0 ]; then rm -rf "$work"; else echo "files of the failed run: $work" >&2; fi
}

die() {
    echo "FAILED: $*" >&2
    exit 1
}

passed() { echo "  ok: $*"; }

need() {
    local tool
    for tool in "$@"; do command -v "$tool" >/dev/null || die "$tool is not installed"; done
}

# until_true WHAT COMMAND...: repeats the command until it succeeds.
until_true() {
    local what=$1 end=$((SECONDS + LIMIT))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || die "not within $LIMIT s: $what"
        sleep 0.1
    done
    passed "$what"
}

# has FILE PATTERN...: each pattern (extended regular expression) is in the file.
has() {
    local file=$1 pattern
    shift
    for pattern in "$@"; do grep -qE -e "$pattern" "$file" || return 1; done
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# An authority, and a certificate for this host from it; another authority, which signed nothing.
certificates() {
    local key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2)
    (
        cd "$work"
        openssl req -x509 "${key[@]}" -keyout ca.key -out ca.pem -subj "/CN=Authority"
        openssl req -x509 "${key[@]}" -keyout other.key -out other.pem -subj "/CN=Another authority"
        openssl req -x509 "${key[@]}" -keyout key.pem -out cert.pem -subj "/CN=Broker" -CA ca.pem -CAkey ca.key \
            -addext "subjectAltName=IP:127.0.0.1" -addext "basicConstraints=critical,CA:FALSE"
        chmod 644 ./*.pem
    ) 2>/dev/null || die "the openssl command makes no certificates"
}

# Starts a broker, which listens on PORT and, with TLS, on TLS_PORT.
broker() {
    certificates
    PORT=$(free_port) TLS_PORT=$(free_port)
    cat >"$work/mosquitto.conf" <<END
allow_anonymous true
listener $PORT 127.0.0.1
listener $TLS_PORT 127.0.0.1
certfile $work/cert.pem
keyfile $work/key.pem
END
    mosquitto -c "$work/mosquitto.conf" >"$work/mosquitto.log" 2>&1 &
    children+=($!)
    until_true "a broker answers" mosquitto_pub -p "$PORT" -t ready -m yes
}

# Records messages from now on, as `TOPIC PAYLOAD`; not what is retained from before.
listen() {
    [ -z "${listener:-}" ] || kill "$listener"
    mosquitto_sub -p "$PORT" -q 1 -R -v -t '#' >"$work/messages" 2>&1 &
    listener=$!
    children+=("$listener")
    local marker=$RANDOM$RANDOM
    until_true "messages are recorded" heard "$marker"
}

heard() {
    mosquitto_pub -p "$PORT" -t ready -m "$1"
    grep -q "^ready $1" "$work/messages"
}

# What is retained at a topic.
retained() {
    mosquitto_sub -p "$PORT" -t "$1" -C 1 -W 10
}
