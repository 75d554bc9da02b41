# The pipe's image: two static programs, the public certificate authorities, and the pages that describe them.
#
#   docker build --build-arg VERSION=1.0.0 --build-arg REVISION="$(git rev-parse HEAD)" --tag ACCOUNT/bitbucket-oidc:1.0.0 .
#
# With --build-arg SOURCE_DATE_EPOCH=0 as well, the same sources and the same GO_IMAGE make the same image, to the digest.
#
# It needs BuildKit, which is what `docker build` uses since Docker 23; before that, set DOCKER_BUILDKIT=1. There is no
# `# syntax=` line, because what BuildKit brings along is enough.

ARG GO_IMAGE=golang:1.26
ARG VERSION=dev

# The compiler runs on the builder's platform and compiles for the target's, so nothing is emulated.
FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src

# Where Debian and Alpine, Fedora, and openSUSE keep the certificate authorities.
RUN mkdir -p /image/etc/ssl/certs; \
    for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem; do \
        [ -s "$bundle" ] && cp "$bundle" /image/etc/ssl/certs/ca-certificates.crt && exit 0; \
    done; \
    echo "GO_IMAGE has no certificate authorities: take an image with the package ca-certificates installed" >&2; \
    exit 1

# The caches are mounted where Go is told to look, wherever GO_IMAGE keeps its own.
ENV GOMODCACHE=/cache/mod GOCACHE=/cache/build
COPY go.mod go.sum ./
COPY internal/absent internal/absent
RUN --mount=type=cache,target=/cache go mod download

# Both programs lie side by side: pipe starts the other one for the commands that it does not have. grpcnotrace leaves out gRPC's own
# web pages, which link package template and with it every exported method: a megabyte less to pull for each step.
COPY . .
ARG TARGETOS TARGETARCH VERSION
RUN --mount=type=cache,target=/cache \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -tags grpcnotrace -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=$VERSION" -o /image/ ./pipe/...

# One date, and modes that no umask decides.
ARG SOURCE_DATE_EPOCH=0
RUN for page in *.md LICENSE.txt pipe.yml docs; do \
        if [ -e "$page" ]; then cp -r "$page" /image/; fi; \
    done && \
    chmod -R u=rwX,go=rX /image && \
    find /image -exec touch -d "@$SOURCE_DATE_EPOCH" {} +

# There is no USER: only root can give what it writes to the owner of the build directory.
FROM scratch
COPY --from=build /image /
ARG VERSION
ARG REVISION
ARG SOURCE
LABEL org.opencontainers.image.title="bitbucket-oidc" \
      org.opencontainers.image.description="Signs the later commands of a Bitbucket Pipelines step in to AWS, Google Cloud and others, with the step's own identity token" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE"
ENTRYPOINT ["/pipe"]
