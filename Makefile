# Two commands set everything up: `make demo` shows the main job, `make test` passes the tests.
.PHONY: setup build test test-azure lint bench demo install clean conformance fuzz
PREFIX ?= /usr/local
SWIFT_TEST = swift test --explicit-target-dependency-import-check error
# A server in the tests' own process needs its threads: tests that wait for programs would keep them from it.
SERVED = ^((Azure|HTTP|Registry|RegistryServer)Tests|EndToEndTests[.](AzureRegistry|KilledPush))

setup:       ; @scripts/setup
build: setup ; swift build -c release --product coracle
test: setup
	$(SWIFT_TEST) --skip "$(SERVED)"
	$(SWIFT_TEST) --skip-build --filter "$(SERVED)"
test-azure: setup ; swift build --product coracle-azure-emulator && swift build --product coracle && scripts/test-azure .build/debug
lint:        ; @scripts/lint
bench: build ; @Benchmarks/run
demo: build  ; swift build -c release --product coracle-azure-emulator && scripts/demo .build/release/coracle
install: build ; install -D -m 0755 .build/release/coracle $(DESTDIR)$(PREFIX)/bin/coracle
clean:       ; rm -rf .build .build-* .conformance
conformance: setup ; $(SWIFT_TEST) --filter Conformance
fuzz: setup  ; CORACLE_FUZZ_RUNS=150000 $(SWIFT_TEST) -c release --filter Fuzz
