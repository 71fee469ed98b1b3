# A server for a model, a run folder or what `sorigeul export` wrote. Without PyTorch:
#   docker build -t sorigeul .
#   docker run --rm -p 127.0.0.1:8000:8000 -v ./quickstart-onnx:/model:ro sorigeul
# With PyTorch, for what needs it (pretrained listeners, --precision int8): docker build --build-arg EXTRAS=train,serve -t sorigeul:torch .
ARG PYTHON=3.11
FROM python:${PYTHON}-slim AS build
ARG EXTRAS=serve
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY sorigeul ./sorigeul
RUN python -m venv /opt/sorigeul \
    && /opt/sorigeul/bin/pip install --no-cache-dir -c constraints.txt ".[${EXTRAS}]"

FROM python:${PYTHON}-slim
COPY --from=build /opt/sorigeul /opt/sorigeul
ENV PATH=/opt/sorigeul/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONUTF8=1
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
ENTRYPOINT ["sorigeul"]
CMD ["serve", "/model", "--host", "0.0.0.0", "--port", "8000"]
