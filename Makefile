# Everything is Go with CGO_ENABLED=0; "make interop" alone needs Python 3.11, and
# installs what it compares with.

GOLANGCI = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME ?= 5s
PARSERTIME ?= $(FUZZTIME)
BENCHTIME ?= 1s
PKG ?= ./...

export CGO_ENABLED = 0

.PHONY: build test lint bench fuzz interop quickstart clean

build:
	go build -trimpath -o bin/ ./cmd/...

test:
	go test ./...

lint:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$bad" || { echo "gofmt: $$bad"; exit 1; }
	go vet ./...
	go run $(GOLANGCI) run ./...

# make bench PKG=./tokenize BENCHTIME=5x
bench:
	go test -run '^$$' -bench . -benchtime $(BENCHTIME) $(PKG)

# Each fuzz target for FUZZTIME, those that parse input files for PARSERTIME.
fuzz:
	.ci/fuzz $(FUZZTIME) $(PARSERTIME)

# What we write is read by the programs it is written for.
interop:
	.ci/interop

quickstart:
	go run ./cmd/pretrain run examples/quickstart.yaml

clean:
	rm -rf bin
