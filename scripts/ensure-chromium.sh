#!/bin/sh
# The browser tests need a real Chromium: `make test` calls this. Prints the path of the browser it found.
set -eu
find_browser() {
    for name in "${ZHILIU_CHROMIUM:-}" /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome; do
        if [ -n "$name" ] && [ -x "$name" ]; then
            echo "$name"
            return 0
        fi
    done
    return 1
}
find_browser && exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2
    apt-get install -y -qq --no-install-recommends chromium fonts-wqy-microhei >&2
    find_browser && exit 0
fi
echo "no Chromium found: install it (Debian: sudo apt-get install chromium fonts-wqy-microhei) or set ZHILIU_CHROMIUM to its path" >&2
exit 1
