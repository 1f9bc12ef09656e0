#!/bin/sh
# Installs what some tests need beside Python, when this user may; otherwise those tests are reported as skipped.
missing=""
for pair in prometheus:prometheus promtool:prometheus systemd-analyze:systemd mosquitto:mosquitto \
    strace:strace nft:nftables victoria-metrics:victoria-metrics influxd:influxdb; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing for the tests:$missing" >&2
    export DEBIAN_FRONTEND=noninteractive
    # A package that starts a service of its own has no business doing so on a test machine.
    apt-get -qq update >/dev/null 2>&1
    # shellcheck disable=SC2086
    RUNLEVEL=1 apt-get -qq install -y --no-install-recommends $missing >/dev/null 2>&1 ||
        echo "could not install$missing; the tests that need it will be skipped" >&2
else
    echo "not installed, tests that need it will be skipped:$missing" >&2
fi
exit 0
