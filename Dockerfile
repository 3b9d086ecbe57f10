# The image of Waggle: the program, the shared libraries that it needs, the
# authorities that the system trusts and the time zones, and its API for those
# who generate from it (/usr/share/waggle); no shell. scripts/image builds it
# with docker, podman or buildah.
#
#   docker run --read-only --cap-drop all -p 8080:8080 -p 50051:50051
#     -v waggle-data:/var/lib/waggle -v ./waggle.yaml:/etc/waggle/waggle.yaml:ro
#     waggle:VERSION
#
# There, waggle.yaml has the doors listen on all interfaces, such as ":8080", and
# names an access file.

# By date, so that the same file builds on the same system. Its packages are
# brought up to Debian's security updates, whose archive has no older ones to
# pin. The image records their versions.
ARG BASE=docker.io/library/debian:bookworm-20250520-slim

FROM ${BASE} AS build
# As machines have it on which ccache may have compiled the same before.
ENV LANG=C.UTF-8
WORKDIR /src
COPY scripts/install-deps scripts/
RUN apt-get -qq update && apt-get -qq --yes upgrade && \
    scripts/install-deps --build

COPY CMakeLists.txt CMakePresets.json ./
COPY third_party third_party
COPY proto proto
COPY src src
RUN --mount=type=cache,target=/ccache \
    export CCACHE_DIR=/ccache && \
    cmake --preset release -DWAGGLE_BUILD_TESTS=OFF -DWAGGLE_BUILD_BENCH=OFF && \
    cmake --build --preset release --target waggle waggle_descriptor_set && \
    cmake --install build/release --strip --prefix /image/program/usr

COPY LICENSE ./
COPY scripts/image-root scripts/
RUN scripts/image-root /image/program/usr/bin/waggle /image/system

FROM scratch
# The system changes seldom: a node that has it fetches only the program.
COPY --from=build /image/system /
COPY --from=build /image/program /

ARG VERSION=""
ARG REVISION=""
ARG CREATED=""
LABEL org.opencontainers.image.title="Waggle" \
      org.opencontainers.image.description="Event gateway for Bindbee: verifies webhooks, stores them durably, streams them over gRPC" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

# By number, so that Kubernetes can tell that it is not root. Any other does.
USER 10001:10001
# The default store.path is under the working folder: mount a volume here.
WORKDIR /var/lib/waggle
# Webhooks, gRPC, admin.
EXPOSE 8080 50051 8081
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/waggle"]
CMD ["serve", "--config", "/etc/waggle/waggle.yaml"]
