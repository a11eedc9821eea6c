.PHONY: help test check-champion check-registry lint crds chart image bench testbed testbed-down testbed-test

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

test: ## Lint, then all tests; the last line counts them
	@scripts/test

lint: ## Format, clippy with warnings denied, docs, licences and sources of dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@# Those that run by their names only are not among all targets.
	cargo clippy --workspace --locked --test '*' -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	@scripts/deny

check-champion: ## Explore the champion's state machine further than the tests do; takes some minutes
	cargo run --release --locked -p podium-core --example champion -- check 3 1

check-registry: ## Rivals and stale leaders on a real MLflow, three times as many epochs as the tests have, and a server that is down for ten minutes; needs root and a quarter of an hour
	PODIUM_CHECK_REGISTRY=true cargo test --workspace --locked --test registries -- --nocapture rivals:: stale_leaders:: server_that_is_down

crds: ## Write crds/ and the chart's copy anew from the types
	UPDATE_CRDS=1 cargo test -q -p podium-api --test crds generated_files

chart: ## Write deploy/podium.yaml and the chart's table of values anew (needs helm)
	scripts/chart render

image: ## Write the image of podium and of the fraud example as archives, without docker
	@scripts/image

bench: ## Measure what docs/benchmarks.md states; takes about an hour
	@scripts/bench

testbed: ## Start a one-node Kubernetes (as root; builds for minutes at its first time) and print how to reach it
	@# Whoever evaluates what this prints does not see that it failed, and would go on with a cluster of his own.
	@{ scripts/image >&2 && cargo run --quiet --locked -p podium-testbed -- up $$(scripts/image-arguments); } || \
	  { echo "export KUBECONFIG=/dev/null/there-is-no-test-bed"; exit 1; }

testbed-down: ## End it and remove everything it made
	@cargo run --quiet --locked -p podium-testbed -- down

testbed-test: ## The tests that need real servers, as root
	scripts/test-servers
	scripts/image
	scripts/on-testbed scripts/test-on-cluster
	scripts/on-testbed scripts/test-outages
