#!/bin/sh
# Installs the servers and programs of the slower tests that no wheel carries.
# `debian.sh containers` installs what `make test-containers` needs instead, `debian.sh pods` what
# `make test-k8s-pods` does.
# Only root can; without root it says what is missing. No server is started.
set -eu
packages="chromium chromium-driver docker-registry faketime golang-github-minio-madmin-go-dev \
golang-go ldap-utils mariadb-server memcached postgresql-15 prometheus rabbitmq-server redis-server \
slapd"
containers="aardvark-dns debootstrap docker.io iproute2 iptables netavark podman runc"
[ "${1:-}" != containers ] || packages=$containers
[ "${1:-}" != pods ] ||
  packages="$containers conntrack containerd containernetworking-plugins iproute2 ldap-utils slapd"

missing=""
for package in $packages; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "error: these Debian packages are missing:$missing" >&2
  echo "  hint: sudo apt-get install --no-install-recommends$missing" >&2
  exit 1
fi
echo "installing Debian packages:$missing"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then # the packages must not start their servers
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
