# syntax=docker/dockerfile:1
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin logweir

FROM debian:bookworm-slim
# Positions and buffers of Fluentd's configurations lie in /var/log; a new volume there takes its owner from here.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates tzdata && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 65532 --no-create-home --shell /usr/sbin/nologin logweir \
    && mkdir -p /etc/fluent && chown logweir:logweir /var/log
COPY --from=build /src/target/release/logweir /usr/local/bin/logweir
# A drop-in for images that call fluentd.
RUN ln -s logweir /usr/local/bin/fluentd
COPY conf/sample.conf /etc/fluent/fluent.conf
USER 65532
EXPOSE 24224/tcp 24224/udp
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/logweir"]
CMD ["-c", "/etc/fluent/fluent.conf"]
