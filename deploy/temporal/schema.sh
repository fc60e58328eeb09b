#!/bin/sh
# Makes Temporal's two databases and brings their schemas to the version of this image. Safe to run again.
# Needs POSTGRES_HOST, POSTGRES_USER, and SQL_PASSWORD, which the tool reads itself.
set -eu

schemas=/etc/temporal/schema/postgresql/v12

tool() {
    database=$1
    shift
    temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_HOST" -p 5432 -u "$POSTGRES_USER" --db "$database" "$@"
}

bring_up_to_date() {
    database=$1
    versions=$schemas/$2/versioned
    echo "$database: making the database, if it is missing"
    tool "$database" create
    if said=$(tool "$database" update-schema -d "$versions" 2>&1); then
        echo "$said"
        return
    fi
    # setup-schema sets the version back to 0.0, and with it runs every migration again on tables that are there.
    # So it runs only where there is no version at all; any other failure is for an operator to read.
    case $said in
    *"error reading current schema version"*"does not exist"*)
        tool "$database" setup-schema -v 0.0
        tool "$database" update-schema -d "$versions"
        ;;
    *)
        echo "$said" >&2
        return 1
        ;;
    esac
}

bring_up_to_date temporal temporal
bring_up_to_date temporal_visibility visibility
echo "schemas are up to date"
