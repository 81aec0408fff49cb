"""The web application: pages for people, `/api` for programs, both on the same read functions."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware

from mitorch_service.viewer.access.gate import Gate, Policy
from mitorch_service.viewer.api import (
    actions,
    changes,
    curves,
    documents,
    searches,
    shares,
    submissions,
    training_events,
    training_files,
)
from mitorch_service.viewer.context import Context
from mitorch_service.viewer.errors import answer_errors
from mitorch_service.viewer.pages import compare, datasets, job, jobs, queue, sign_in, training

STATIC = Path(__file__).parent / "static"
_DESCRIPTION = "What the commands of MiTorch service read and order. Send the token as `Authorization: Bearer TOKEN`."


def create_app(context: Context, policy: Policy) -> FastAPI:
    """Builds the application. Nothing is read before the first request."""
    app = FastAPI(
        title="MiTorch service",
        description=_DESCRIPTION,
        version=version("mitorch-service"),
        docs_url=None,  # FastAPI's page loads scripts from another host
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.context = context
    app.state.policy = policy
    for router in (
        queue.router,
        sign_in.router,
        compare.router,
        training.router,
        jobs.router,
        job.router,
        datasets.router,
        training_files.router,
        training_events.router,
    ):
        app.include_router(router)
    for router in (
        documents.trainings,
        documents.jobs,
        documents.datasets,
        searches.router,
        actions.router,
        submissions.router,
    ):
        app.include_router(router)
    for router in (curves.router, shares.router, *map(changes.change_routes, ("training", "job"))):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    answer_errors(app)
    app.add_middleware(Gate, policy=policy, now=context.clock, sign_in=sign_in.ask)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    return app
