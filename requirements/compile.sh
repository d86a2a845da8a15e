#!/usr/bin/env bash
# Compiles the hash-pinned requirement files from the *.in files: `make requirements`, or `make requirements UPGRADE=--upgrade`.
# The two image files are constrained by the development file, so that what runs in production is what was tested.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
compile() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
    --override requirements/overrides.txt --custom-compile-command "make requirements" \
    --no-emit-package opencv-contrib-python --no-emit-package opencv-python-headless --no-emit-package opencv-python "$@"
}
compile ${UPGRADE:-} requirements/dev.in -o requirements.txt
compile requirements/schemas.in --no-deps -o requirements/schemas.txt
compile apps/api/requirements.in -c requirements.txt -o apps/api/requirements.txt
compile apps/worker/requirements.in -c requirements.txt -o apps/worker/requirements.txt
compile apps/worker/requirements-default.in -c requirements.txt -o apps/worker/requirements-default.txt
# Beside one of the others, for GOT-OCR 2.0 alone: on Linux torch comes with CUDA, and nobody else installs it.
compile apps/worker/requirements-got.in -c requirements.txt -o apps/worker/requirements-got.txt
# The same without CUDA, for tests (`make got`), in Python 3.11 on Linux; what else it needs is in requirements.txt. Builds for
# CPUs are not where the other packages are: pip looks where PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL say.
got_cpu=apps/worker/requirements-got-cpu.txt
torch="$(grep -m1 '^torch==' apps/worker/requirements-got.in)+cpu"
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
if .venv/bin/python -m pip download --quiet --no-deps --only-binary :all: --python-version 3.11 \
  --platform manylinux_2_28_x86_64 --dest "$wheels" "$torch"; then
  {
    printf '# Made by: make requirements\n%s \\\n    --hash=sha256:%s\n' "$torch" "$(sha256sum "$wheels"/torch-*.whl | cut -d' ' -f1)"
    sed -n '/^transformers==/,/[^\\]$/p' apps/worker/requirements-got.txt
  } >"$got_cpu"
else
  echo "$got_cpu stays as it is: pip has not found $torch." >&2
fi
# The GPU image brings its own paddlepaddle-gpu and onnxruntime-gpu: their wheels depend on the CUDA version.
compile apps/worker/requirements.in -c requirements.txt --no-emit-package paddlepaddle --no-emit-package onnxruntime \
  -o apps/worker/requirements-gpu.txt
# The same for the GPU image of the serverless endpoint.
compile apps/worker/requirements-serverless.in -c requirements.txt --no-emit-package paddlepaddle \
  --no-emit-package onnxruntime -o apps/worker/requirements-serverless.txt
# What the GPU image adds to it. 1.26 is the last one for CUDA 12; paddlepaddle-gpu has an index of its own.
compile infra/runpod/requirements.in --no-deps -o infra/runpod/requirements.txt
