#!/usr/bin/env bash
# Real receivers, from Debian's newest suite through a private apt state (the system's sources stay as they are).
#   receivers.sh DIR backends     DIR/bin: victoria-metrics vmagent prometheus promtool prometheus-node-exporter   (100 MB to fetch)
#   receivers.sh DIR collector    DIR/bin/otelcol: OpenTelemetry Collector core, built from Debian's Go libraries  (300 MB, 1-2 min)
#   receivers.sh DIR rsyslog      DIR/rsyslog: rsyslog, a peer for the bench                                   (1 MB)
# What is there already is not fetched again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); out=$(mkdir -p "$1/bin" && cd "$1" && pwd)
mirror=$(awk '$1=="URIs:" && $2 !~ /security/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources)
apt=$out/apt; mkdir -p "$apt"/{state/lists/partial,cache/archives/partial,parts} "$out/debs"; touch "$apt/state/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" > "$apt/sources.list"
cat > "$apt/apt.conf" <<C
Dir::State "$apt/state"; Dir::State::status "$apt/state/status"; Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list"; Dir::Etc::sourceparts "$apt/parts"; APT::Sandbox::User "root";
C
export APT_CONFIG=$apt/apt.conf
fetch() { (cd "$out/debs" && apt-get -qq download "$@"); }
case ${2:-} in
  backends)
    [ -x "$out/bin/promtool" ] && exit 0
    apt-get -qq update; fetch victoria-metrics prometheus promtool prometheus-node-exporter
    for p in victoria-metrics prometheus promtool prometheus-node-exporter; do dpkg -x "$out"/debs/${p}_*.deb "$out/root"; done
    for b in victoria-metrics vmagent prometheus promtool prometheus-node-exporter; do cp "$out/root/usr/bin/$b" "$out/bin/"; done
    rm -rf "$out/root" "$out/debs" ;;
  collector)
    [ -x "$out/bin/otelcol" ] && exit 0
    apt-get -qq update
    mapfile -t names < <(apt-get install --print-uris -y --no-install-recommends golang-opentelemetry-collector-dev golang-1.27-go golang-1.27-src \
      | awk "/^'/{print \$2}" | grep ^golang | sed 's/_.*//' | sort -u)
    fetch "${names[@]}"
    for d in "$out"/debs/golang*.deb; do dpkg -x "$d" "$out/go"; done
    goroot=$out/go/root; rm -rf "$goroot"; cp -rL "$out/go/usr/lib/go-1.27" "$goroot"   # Debian links its parts together
    (cd "$here/otelcol" && GO111MODULE=off GOPATH=$out/go/usr/share/gocode GOROOT=$goroot GOCACHE=$out/go/cache CGO_ENABLED=0 \
      GOTOOLCHAIN=local GOTELEMETRY=off GOFLAGS=-p=2 "$goroot/bin/go" build -trimpath -ldflags '-s -w' -o "$out/bin/otelcol" .)
    chmod -R u+w "$out/go"; rm -rf "$out/go" "$out/debs" ;;
  rsyslog)
    [ -x "$out/rsyslog/usr/sbin/rsyslogd" ] && exit 0
    unset APT_CONFIG   # the system's own suite: the library must fit the system
    fetch rsyslog libestr0 libfastjson4
    for d in "$out"/debs/{rsyslog,libestr0,libfastjson4}_*.deb; do dpkg -x "$d" "$out/rsyslog"; done
    rm -rf "$out/debs" ;;
  *) sed -n 2,6p "$0" >&2; exit 2 ;;
esac
ls -la "$out/bin"
