# Two commands set everything up: `make demo` shows the main job, `make test` passes the tests.
.PHONY: setup build test test-azure lint bench demo install clean conformance fuzz
PREFIX ?= /usr/local
# Swift's own libraries are in the program: it starts twice as fast, and runs where no Swift is. Nobody links against
# it, so no symbol is exported: 4 MiB of tables that the dynamic linker would read stay on the disk.
RELEASE = swift build -c release --static-swift-stdlib -Xlinker --no-export-dynamic
SWIFT_TEST = swift test --explicit-target-dependency-import-check error
# A server in the tests' own process needs its threads: tests that wait for programs would keep them from it.
SERVED = ^((Azure|AzureEmulator|HTTP|Kubernetes|Registry|RegistryServer)Tests|DeployTests[.]AKSTarget|EndToEndTests[.](Azure|Cluster|Compose|Deploy|Killed))

setup:       ; @scripts/setup
build: setup ; $(RELEASE) --product coracle
test: setup  ; @scripts/test "$(SERVED)"
test-azure: setup ; swift build --product coracle-azure-emulator && swift build --product coracle && scripts/test-azure .build/debug
lint:        ; @scripts/lint
bench: build ; @Benchmarks/run
demo: build  ; $(RELEASE) --product coracle-azure-emulator && scripts/demo .build/release/coracle
install: build
	install -D -m 0755 .build/release/coracle $(DESTDIR)$(PREFIX)/bin/coracle
	strip --strip-debug $(DESTDIR)$(PREFIX)/bin/coracle
clean:       ; rm -rf .build .build-* .conformance
conformance: setup ; $(SWIFT_TEST) --filter Conformance
fuzz: setup  ; CORACLE_FUZZ_RUNS=150000 $(SWIFT_TEST) -c release --filter Fuzz
