"""The web application: pages for people, `/api` for programs, both on the same read functions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware

from mitorch_service.viewer.access.gate import Gate, Policy
from mitorch_service.viewer.api import (
    actions,
    changes,
    curves,
    documents,
    exports,
    queue_events,
    searches,
    service,
    shares,
    submissions,
    table_events,
    tables,
    training_code,
    training_events,
    training_files,
)
from mitorch_service.viewer.api.document import document_of
from mitorch_service.viewer.context import Context
from mitorch_service.viewer.errors import answer_errors
from mitorch_service.viewer.pages import (
    code,
    compare,
    datasets,
    find,
    job,
    jobs,
    queue,
    sign_in,
    status,
    submit,
    training,
    trainings,
)

STATIC = Path(__file__).parent / "static"
_DESCRIPTION = "What the commands of MiTorch service read and order. Send the token as `Authorization: Bearer TOKEN`."


def create_app(context: Context, policy: Policy) -> FastAPI:
    """Builds the application. Nothing is read before the first request."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        context.close()

    app = FastAPI(
        lifespan=lifespan,
        title="MiTorch service",
        description=_DESCRIPTION,
        version=version("mitorch-service"),
        docs_url=None,  # FastAPI's page loads scripts from another host
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.context = context
    app.state.policy = policy
    pages = (queue, sign_in, compare, trainings, training, code, jobs, job, datasets, status, find, submit)
    for page in pages:
        for route in page.router.routes:
            if isinstance(route, APIRoute) and route.methods and "GET" in route.methods:
                route.methods.add("HEAD")  # a page asks by it whether it may still be read; FastAPI adds none itself
        app.include_router(page.router)
    # Paths with a fixed word come before those with an id in its place.
    for topic in (
        exports,
        tables,
        queue_events,
        table_events,
        training_files,
        training_code,
        training_events,
        curves,
        searches,
        service,
        actions,
        submissions,
        shares,
    ):
        app.include_router(topic.router)
    for router in (
        documents.trainings,
        documents.jobs,
        documents.datasets,
        changes.change_routes("training"),
        changes.change_routes("job"),
    ):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.openapi = document_of(app)  # type: ignore[method-assign]  # as FastAPI's documentation has it
    answer_errors(app)
    app.add_middleware(Gate, policy=policy, now=context.clock, sign_in=sign_in.ask)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    return app
