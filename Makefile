# The few commands of headwater. Each fetches what it needs first; a second run finds it there.

CARGO ?= cargo
# which database `make demo` reads: postgres, mysql or mariadb
SOURCE ?= postgres

.PHONY: setup build test demo check lint bench clean

setup:                ## everything that building and testing needs, on Debian 12
	@scripts/setup.sh test

build:                ## the release binary
	@scripts/setup.sh build
	$(CARGO) build --release --locked -p headwater

test:                 ## every test: unit, integration with real servers, end to end
	@scripts/setup.sh test
	@begin=$$(date +%s); $(CARGO) test --workspace --locked \
	  && echo "tests passed in $$(($$(date +%s) - begin)) s"

demo:                 ## a database, a broker, a registry and headwater between them
	@case "$(SOURCE)" in postgres|mysql|mariadb) ;; *) echo "SOURCE is postgres, mysql or mariadb, not '$(SOURCE)'" >&2; exit 2 ;; esac
	@scripts/setup.sh demo $(filter mysql,$(SOURCE))
	$(CARGO) build --release --locked -p headwater
	$(CARGO) xtask demo --source $(SOURCE)

check lint:           ## what CI asks of the code before it runs the tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) xtask tidy

bench:                ## throughput and latency, with the numbers of the machine
	@scripts/setup.sh test
	$(CARGO) build --release --locked -p headwater
	$(CARGO) xtask bench

clean:
	$(CARGO) clean
