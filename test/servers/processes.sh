# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
#
# Processes of a server for tests, which belong to the directory $dir: NAME.pid has the id, NAME.log the output. A process
# is ended only while its command line names the directory, so never another one that got its id.

unset LD_PRELOAD     # of what is tested, such as a sanitizer's library: not for the servers
wait_seconds_max=120 # for a server that starts or ends on a busy machine

# For root: what makes a command act as nobody.
nobody=(setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups --no-new-privs)

# For root: the processes act as nobody, if that has access to the directory. They get it.
as_user=()
unprivileged()
{
    [ "$(id -u)" -eq 0 ] || return 0
    if chown -R nobody: "$dir" 2>/dev/null && "${nobody[@]}" test -w "$dir" 2>/dev/null; then
        as_user=("${nobody[@]}")
    else
        chown -R root: "$dir"
    fi
}

# begin NAME COMMAND...: in $dir; it must stay in the foreground
begin()
{
    "${as_user[@]}" env -C "$dir" "${@:2}" >>"$dir/$1.log" 2>&1 </dev/null &
    echo $! >"$dir/$1.pid"
    disown
}

alive()
{
    local pid
    pid=$(cat "$dir/$1.pid" 2>/dev/null) && [ -n "$pid" ] && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -e "$dir"
}

# end SIGNAL NAME...: all at once
end()
{
    local name give_up=$((SECONDS + wait_seconds_max))
    for name in "${@:2}"; do
        ! alive "$name" || kill "-$1" "$(cat "$dir/$name.pid")" 2>/dev/null || true
    done
    for name in "${@:2}"; do
        while alive "$name"; do
            [ "$SECONDS" -lt "$give_up" ] || kill -KILL "$(cat "$dir/$name.pid")" 2>/dev/null || true
            sleep 0.02
        done
        rm -f "$dir/$name.pid"
    done
}

# wait_for NAME COMMAND...: until the command succeeds; fails when the process has ended
wait_for()
{
    local give_up=$((SECONDS + wait_seconds_max))
    until "${@:2}" >/dev/null 2>&1; do
        alive "$1" && [ "$SECONDS" -lt "$give_up" ] || return 1
        sleep 0.05
    done
}

# listened NAME: the TCP ports that a process listens on. Root may not see this of others in a container, so nobody looks.
listened()
{
    local socket
    "${as_user[@]}" find "/proc/$(cat "$dir/$1.pid")/fd" -type l -printf '%l\n' 2>/dev/null | while read -r socket; do
        [[ $socket == socket:* ]] || continue
        awk -v inode="${socket//[^0-9]/}" '$4 == "0A" && $10 == inode { sub(/.*:/, "", $2); print $2 }' /proc/net/tcp
    done | while read -r port; do echo $((16#$port)); done
}

# Different ports that are probably free: below those which the system gives to connections. Who uses them must cope if
# one is not.
some_ports()
{
    shuf -i 20000-31999 -n "$1"
}

missing()
{
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null && continue
        echo "$0: there is no $program here; run: tools/install-deps servers" >&2
        return 0
    done
    return 1
}
