# The image of podium: one static program, no shell, no root. `make image` writes the same as an archive without docker.
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
ENV RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs"
RUN target="$(uname -m)-unknown-linux-gnu" \
 && cargo build --release --locked --target "$target" --bin podium \
 && install -D "target/$target/release/podium" /out/podium

FROM scratch
COPY --from=build /out/podium /usr/bin/podium
# The authorities that a model registry's certificate may come from.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV PATH=/usr/bin
USER 65532:65532
ENTRYPOINT ["/usr/bin/podium"]
