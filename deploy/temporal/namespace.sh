#!/bin/sh
# Makes the namespace, with a retention as long as event IDs are refused a second time. Safe to run again.
# Needs TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, IDEMPOTENCY_WINDOW_DAYS.
set -eu

case $IDEMPOTENCY_WINDOW_DAYS in
'' | *[!0-9]*)
    echo "IDEMPOTENCY_WINDOW_DAYS must be a number of days" >&2
    exit 2
    ;;
esac

tries=60
until temporal operator cluster health >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ]; then
        temporal operator cluster health
        exit 1
    fi
    sleep 1
done

if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
    # `heliograph bootstrap`, which runs next, lengthens its retention when the window has grown; it is never cut.
    echo "namespace $TEMPORAL_NAMESPACE is there"
    exit 0
fi
temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "${IDEMPOTENCY_WINDOW_DAYS}d"
