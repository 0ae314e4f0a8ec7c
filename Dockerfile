# Two stages: build the binary and fetch ONNX Runtime, then an image that holds these and fonts.
FROM rust:1.92-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake python3-pip python3-venv && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN scripts/runtime.sh && scripts/models.sh && scripts/cargo.sh build --release

FROM debian:bookworm-slim
# Fonts of the reports: every script that a patient's name may be in.
RUN apt-get update && apt-get install -y --no-install-recommends fonts-noto-core fonts-noto-cjk && rm -rf /var/lib/apt/lists/*
RUN useradd --system --create-home --home-dir /var/lib/sagittal sagittal
WORKDIR /opt/sagittal
COPY --from=build /src/target/release/sagittal /usr/local/bin/sagittal
COPY --from=build /src/.runtime .runtime
COPY --from=build /src/models models
COPY --from=build /src/LICENSE LICENSE
USER sagittal
EXPOSE 11112
# The configuration is mounted at /etc/sagittal, the ledger and the spool at /var/lib/sagittal.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["sagittal", "echo", "127.0.0.1:11112", "--called", "SAGITTAL"]
ENTRYPOINT ["sagittal"]
CMD ["serve", "--config", "/etc/sagittal"]
