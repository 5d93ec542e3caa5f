# What developers do. `just` alone lists it.

[private]
default:
    @just --list --unsorted

# Shows the tour
demo:
    cargo run -- demo

# Runs every test that needs no other program
test:
    cargo test

# Runs the tests on real stores: minio, localstack, seaweedfs or all
[no-exit-message]
[positional-arguments]
test-integration store='all':
    @ci/test-stores.sh "$1"

# Runs exactly what continuous integration runs
ci:
    bash .ci/run

# Makes the zips that go to Lambda: arm64 and x86_64, or the one that is named
[no-exit-message]
[positional-arguments]
package *architectures:
    @ci/package.sh "$@"

# Simulates thirteen million schedules in virtual time, and every mutant, from fixed seeds
simulate:
    S3_REPLICATOR_SIMULATION=full cargo test --profile simulation --no-default-features --features local --test simulation -- --nocapture --test-threads 1

# Simulates fresh schedules for so many seconds
soak seconds="600":
    cargo run --profile simulation -- simulate --soak {{ seconds }}

# Starts MinIO and LocalStack, or one of them, with a tagged master and its targets
[no-exit-message]
[positional-arguments]
up store='all':
    @docker/stores.sh up "$1"

# Removes what `up` started, with all that was stored
[no-exit-message]
down:
    @docker/stores.sh down

# Measures the function side by side with s5cmd and rclone: --quick, --out FILE
bench *options:
    cargo build --locked --release --no-default-features --bin bootstrap
    cargo build --locked --release --package hello-world
    cargo bench --locked --profile dev --bench replication -- {{ options }}
