# bounceline as one static program without the local engine: it needs a ClickHouse server. The state directory is a volume.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=container
RUN CGO_ENABLED=0 go build -trimpath -tags noengine -ldflags "-s -w -X main.version=${VERSION}" -o /out/usr/bin/bounceline ./cmd/bounceline \
 && install -d -m 0700 -o 65532 -g 65532 /out/var/lib/bounceline \
 && install -d -m 1777 /out/tmp \
 && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt

FROM scratch
COPY --from=build /out/ /
ENV BOUNCELINE_STATE_DIR=/var/lib/bounceline BOUNCELINE_LISTEN=127.0.0.1:9311
USER 65532:65532
VOLUME /var/lib/bounceline
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 CMD ["/usr/bin/bounceline", "health", "127.0.0.1:9311"]
ENTRYPOINT ["/usr/bin/bounceline"]
CMD ["--help"]
