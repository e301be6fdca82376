# The studio in a container, on a CPU:
#   docker build -t grpo-studio .
#   docker run --rm -p 127.0.0.1:8501:8501 -e GRPO_STUDIO_IDENTITY=local -v grpo-studio:/workspace grpo-studio
#
# On an NVIDIA GPU (with the NVIDIA container toolkit on the host):
#   docker build --target cuda -t grpo-studio:cuda .
#   docker run --rm --gpus all --shm-size 8g -p 127.0.0.1:8501:8501 -e GRPO_STUDIO_IDENTITY=local \
#     -v grpo-studio:/workspace grpo-studio:cuda
#
# GRPO_STUDIO_IDENTITY=local says that only this machine reaches the port: whoever does is the one user, an admin.
#
# With a vLLM server beside it: compose.yaml. What each step does stands in scripts/image/; scripts/bare_debian.sh runs the
# same steps in a bare Debian root where no engine for containers is at hand.
#
# pip's own settings, such as where it finds a CPU build of PyTorch, can be lent to the build without being kept in the
# image: docker build --secret id=pip,src=$HOME/.config/pip/pip.conf ...

ARG PYTHON_IMAGE=python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
COPY requirements.txt requirements-gpu.txt requirements-models.txt requirements.lock requirements-gpu.lock ./
COPY scripts/image/environment.sh scripts/image/environment.sh

FROM build AS build-cpu
RUN --mount=type=secret,id=pip,target=/etc/pip.conf scripts/image/environment.sh cpu

FROM build AS build-cuda
RUN --mount=type=secret,id=pip,target=/etc/pip.conf scripts/image/environment.sh cuda

FROM ${PYTHON_IMAGE} AS studio
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRPO_STUDIO_HOME=/workspace \
    GRPO_STUDIO_WITHIN=container \
    HF_HOME=/workspace/cache/huggingface
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=180s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
# tini reaps the training jobs, which are processes of their own. When the container stops they stop as well; their runs
# are then found as interrupted and can be resumed.
ENTRYPOINT ["tini", "--", "scripts/container.sh"]

FROM studio AS cuda
COPY scripts/image/system.sh scripts/image/system.sh
RUN scripts/image/system.sh cuda
VOLUME /workspace
COPY --from=build-cuda /opt/venv /opt/venv
COPY . .
RUN scripts/image/models.sh
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000

# The last stage is what a build without --target makes.
FROM studio AS cpu
COPY scripts/image/system.sh scripts/image/system.sh
RUN scripts/image/system.sh cpu
VOLUME /workspace
COPY --from=build-cpu /opt/venv /opt/venv
COPY . .
RUN scripts/image/models.sh
USER 1000
