"""The background door: evaluations and trainings that were asked for, in turns; and a look for drift, once an hour."""

from __future__ import annotations

from django.utils import timezone
from django_q.tasks import async_task

from governance import drift, jobs, training_jobs, turns
from governance.models import EvaluationJob, TrainingJob
from runs.discretion import discreetly
from runs.tasks import patience

TURN = 30.0  # seconds


def enqueue_job(job: EvaluationJob) -> None:
    """Hands a job to the workers. Delivered twice, it is still done once."""
    async_task("governance.tasks.work_on", job.pk)


def work_on(job_id: int) -> None:
    job = jobs.find_job(job_id)
    with discreetly():
        unfinished = jobs.work(job)
    if unfinished:
        enqueue_job(job)


def enqueue_training(job: TrainingJob) -> None:
    """The same for a training."""
    async_task("governance.tasks.train", job.pk)


def train(job_id: int) -> None:
    job = training_jobs.find_job(job_id)
    with discreetly():
        unfinished = training_jobs.work(job)
    if unfinished:
        enqueue_training(job)


def look_for_drift() -> bool:
    """Run_workers calls it every few seconds; but for once an hour it costs a small query."""
    if due := drift.due():
        async_task("governance.tasks.check_drift")
    return due


def check_drift() -> None:
    if not drift.check_drift(actor="system", seconds=TURN):
        async_task("governance.tasks.check_drift")


def requeue_lost() -> int:
    """Enqueues again what a killed worker left, or the broker lost."""
    since = timezone.now() - patience()
    evaluations = turns.take_lost(EvaluationJob, waiting_since=since)
    for job in evaluations:
        enqueue_job(job)
    trainings = turns.take_lost(TrainingJob, waiting_since=since)
    for training in trainings:
        enqueue_training(training)
    return len(evaluations) + len(trainings)
