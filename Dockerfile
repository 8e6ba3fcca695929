# The image of headwater. Build: docker build -t headwater .
#
# librdkafka, zstd and everything written in Rust are linked into the binary. OpenSSL (for Kafka only) and zlib come from
# the distribution, so that a fix in OpenSSL is a rebuild of the image and not of the binary.

FROM rust:1.95.0-bookworm AS build
# The image's own toolchain is the pinned one; rust-toolchain.toml would make rustup fetch clippy and rustfmt as well.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libssl-dev make pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crates crates
RUN cargo build --release --locked --package headwater --bin headwater \
    && strip --strip-debug target/release/headwater

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin headwater
COPY --from=build /src/target/release/headwater /usr/local/bin/headwater
COPY --chmod=755 docker/healthcheck.sh /usr/local/bin/headwater-healthcheck
USER 10001
EXPOSE 9808
# Answers 200 while headwater runs, also while it retries a neighbour: a restart would not help then.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["headwater-healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["headwater"]
CMD ["run", "-c", "/etc/headwater/headwater.toml"]
