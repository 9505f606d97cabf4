# `make help` lists the targets.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
BINARY  ?= build/sonde
KERNEL  ?= 6.1

# The same source and the same VERSION give the same bytes, in whatever directory and on whatever machine:
# no paths, no build id, nothing from git but VERSION.
export CGO_ENABLED = 0
BUILD_FLAGS = -trimpath -buildvcs=false -ldflags "-s -w -buildid= -funcalign=16 -X sonde/internal/cli.version=$(VERSION)" $(COLD:%=-gcflags=%=-l)
# What little of a record passes through is compiled without inlining: a twenty-fifth of the binary, and nothing to be measured of speed.
COLD = fmt compress/flate compress/gzip compress/zlib go.yaml.in/yaml/v3 sonde/internal/attach sonde/internal/cli sonde/internal/tool/doctor sonde/internal/tool/guard/... sonde/internal/tool/open/dynevent sonde/internal/tool/malloc/... \
	sonde/internal/profile sonde/internal/target sonde/internal/compile/syntax sonde/internal/compile/check \
	github.com/spf13/... github.com/ianlancetaylor/demangle github.com/ulikunitz/... \
	regexp/... encoding/json debug/... text/... crypto/...

# What `go generate` compiles the BPF C files with. Another clang makes other objects.
export BPF2GO_CC = clang-14

GOLANGCI_LINT = go tool -modfile=tools/go.mod golangci-lint

.DEFAULT_GOAL = build

.PHONY: build
build: ## build build/sonde, static and stripped (GOARCH=arm64 for the other machine)
	go build $(BUILD_FLAGS) -o $(BINARY) ./cmd/sonde

.PHONY: run
run: build ## build, then trace a real command: needs root
	@if [ "$$(id -u)" -ne 0 ]; then \
		echo "make run: tracing needs root; the binary is built, now type:"; \
		echo "    sudo $(BINARY) exec -- sh -c 'ls / | wc -l; true'"; \
		exit 1; \
	fi
	$(BINARY) exec -- sh -c 'ls / | wc -l; true'

.PHONY: test
test: ## run everything: unit, own kernel, guests of all four kernels; installs what is missing
	scripts/deps.sh test
	go run ./internal/vmtest/cmd/runtests

.PHONY: vm
vm: ## run the guest tests on one kernel: make vm KERNEL=6.1
	scripts/deps.sh test
	go run ./internal/vmtest/cmd/runtests -host=false -kernels $(KERNEL)

.PHONY: bench
bench: build ## measure against the peers, side by side, and write README.md's tables
	scripts/deps.sh bench
	go run ./internal/bench/cmd/benchall -readme README.md

.PHONY: generate
generate: ## compile the BPF C files again (clang 14)
	scripts/deps.sh generate
	go generate ./...

.PHONY: check-generated
check-generated: ## refuse BPF objects that are not what their sources give
	scripts/deps.sh generate
	scripts/check-generated.sh

.PHONY: lint
lint: check-format vet check-generated ## format, vet (amd64 and arm64), golangci-lint, generated objects
	$(GOLANGCI_LINT) run

.PHONY: check-format
check-format:
	@files=$$(gofmt -l cmd internal *.go); \
	if [ -n "$$files" ]; then echo "not formatted; run 'gofmt -w' on:"; echo "$$files"; exit 1; fi

# Guest tests have the build tag guest; both kinds must compile for both machines.
.PHONY: vet
vet:
	GOARCH=amd64 go vet ./...
	GOARCH=amd64 go vet -tags guest ./...
	GOARCH=arm64 go vet ./...
	GOARCH=arm64 go vet -tags guest ./...

.PHONY: clean
clean: ## remove what was built (the guests' cache stays)
	rm -rf build

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
