# The first two are all a reader needs: `make demo` shows the node at work, `make test` proves it.
.PHONY: deb help demo test soak mutation bench bench-receive bench-e2e bench-rules bench-results bench-ledger bench-send lint runtime models peers

help:
	@echo "make demo     real head -> DICOM -> node -> model -> SEG, on this machine (KEEP=1 leaves the node running)"
	@echo "make test     all that CI runs: unit, integration, documentation, Orthanc, DCMTK, validators"
	@echo "make soak     the long runs: the node killed 1,000 times under load, 500 in deliveries, 200 structure sets, mutated streams for minutes"
	@echo "make mutation single defects of results: which the referee notices, and which dciodvfy and dcentvfy do"
	@echo "make bench    Sagittal beside its peers: tables, and JSON in target/bench/"
	@echo "make deb      a Debian package with a systemd unit, into target/deb/"
	@echo "make lint     rustfmt, clippy, the table of allowed imports"
	@echo "make runtime | models | peers   the pieces that the above install by themselves"

demo:
	@scripts/demo.sh

test:
	@scripts/test.sh

soak:
	@scripts/peers.sh
	@SAGITTAL_PHANTOMS=200 scripts/cargo.sh test --release --test it -- --nocapture results::peers::random
	@SAGITTAL_KILLS=1000 scripts/cargo.sh test --release --test it -- --nocapture soak::
	@SAGITTAL_KILLS=500 scripts/cargo.sh test --release --test it -- --nocapture kills::
	@SAGITTAL_LARGE=2000 scripts/cargo.sh test --release --test it -- --nocapture large::

mutation:
	@scripts/peers.sh
	@SAGITTAL_MUTATION=1 scripts/cargo.sh test --test it -- --nocapture --test-threads=1 mutations::

bench: bench-receive bench-e2e bench-rules bench-results bench-ledger bench-send

bench-receive:
	@BENCH=receive scripts/bench.sh

bench-e2e:
	@BENCH=e2e scripts/bench.sh

bench-rules:
	@BENCH=rules scripts/bench.sh

bench-results:
	@BENCH=results scripts/bench.sh

bench-send:
	@BENCH=send scripts/bench.sh

bench-ledger:
	@scripts/cargo.sh bench --bench ledger

deb:
	@scripts/cargo.sh build --release --bin sagittal
	@scripts/models.sh
	@scripts/deb.sh

lint:
	@scripts/cargo.sh fmt --check
	@scripts/cargo.sh clippy --all-targets -- -D warnings
	@scripts/cargo.sh test --test it layers

runtime:
	@scripts/runtime.sh

models:
	@scripts/models.sh

peers:
	@scripts/peers.sh
