# syntax=docker/dockerfile:1
# Two images, the same but for the ClickHouse engine (libchdb.so, 560 MB) of the embedded store:
#   docker build --target logweir -t logweir .            without: for a ClickHouse server
#   docker build --target embedded -t logweir:embedded .  with it; the last one, so also what no --target gives
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin logweir

# The script has the version and the checksum, and fails where there are none.
FROM debian:bookworm-slim AS libchdb
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates npm && rm -rf /var/lib/apt/lists/*
COPY tools/fetch-libchdb /usr/local/bin/fetch-libchdb
RUN LOGWEIR_CACHE=/libchdb fetch-libchdb

FROM debian:bookworm-slim AS logweir
# Positions and buffers of Fluentd's configurations lie in /var/log; a new volume there takes its owner from here. libsystemd0 is for the
# systemd input.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libsystemd0 tzdata && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 65532 --no-create-home --shell /usr/sbin/nologin logweir \
    && mkdir -p /etc/fluent && chown logweir:logweir /var/log
COPY --from=build /src/target/release/logweir /usr/local/bin/logweir
# A drop-in for images that call fluentd and the commands that come with it.
RUN for name in fluentd fluent-cat fluent-ctl fluent-binlog-reader fluent-plugin-config-format; do \
      ln -s logweir /usr/local/bin/$name; done
COPY conf/sample.conf /etc/fluent/fluent.conf
# What conf/kubernetes/daemonset.yaml runs, where the Fluentd DaemonSet image has its own.
COPY conf/kubernetes/*.conf /fluentd/etc/
COPY conf/kubernetes/kubernetes/*.conf /fluentd/etc/kubernetes/
USER 65532
EXPOSE 24224/tcp 24224/udp
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/logweir"]
CMD ["-c", "/etc/fluent/fluent.conf"]

FROM logweir AS embedded
COPY --from=libchdb /libchdb/libchdb.so /usr/lib/logweir/libchdb.so
# A volume here keeps a store: `path /var/lib/logweir/store` in the configuration.
USER root
RUN mkdir -p /var/lib/logweir && chown logweir:logweir /var/lib/logweir
USER 65532
