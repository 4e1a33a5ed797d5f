# A repository of bundles as an image, for clusters that mount images as volumes:
#   docker build -f docker/bundles.Dockerfile -t bundles:1 path/to/repository
FROM scratch
COPY . /
