"""The offline `docker`: builds, runs and pushes images without a container runtime.

`python -m local_cloud.docker_cli` understands the part of Docker's command line that a buildspec
needs: login, build, run, push, tag, inspect, rmi, version and info. An image that it builds is a
real one (configuration, layers and manifest go to the registry), with two differences:

- Nothing is pulled. The base image is recorded by name; the Python that runs this program stands
  in for it, whatever version the Dockerfile asks for.
- Of the RUN lines, `pip install --require-hashes -r …` is really performed, into a cached Python
  environment that the image names by a label, and so is `chmod`. Every other RUN line is printed
  as not executed.

A program of an image runs as a process of this machine, in a copy of the image's files: no
namespaces, no limits, no other user, and `--network none` is not enforced.
"""
