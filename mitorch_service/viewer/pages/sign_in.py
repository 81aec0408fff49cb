"""The form that takes the token, where no link or cookie has brought it."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from mitorch_service.viewer.access.cookies import end_session, give_session
from mitorch_service.viewer.access.gate import Policy, is_same_site, local
from mitorch_service.viewer.access.token import is_same
from mitorch_service.viewer.pages.templates import render

router = APIRouter(include_in_schema=False)
_LONGEST_FORM = 4096


def ask(request: Request, problem: str = "") -> Response:
    """The page with the form, which leads to the page that was asked for."""
    target = local(request.scope["path"]) + (f"?{request.url.query}" if request.url.query else "")
    if "token" in request.query_params:
        target, problem = local(request.scope["path"]), "That token is not this server's."
    return render(request, "sign_in.html", 401, title="Sign in", next=target, problem=problem)


@router.get("/sign-in")
def show(request: Request) -> Response:
    return render(request, "sign_in.html", title="Sign in", next="/", problem="")


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Takes the form."""
    policy: Policy = request.app.state.policy
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_FORM:
            return render(request, "sign_in.html", 413, title="Sign in", next="/", problem="The form is too long.")
    form = parse_qs(body.decode(errors="replace"))
    target = local(form.get("next", ["/"])[0])
    given = form.get("token", [""])[0].strip()
    if not is_same_site(request) or policy.token is None or not is_same(given, policy.token):
        problem = "That token is not this server's."
        return render(request, "sign_in.html", 401, title="Sign in", next=target, problem=problem)
    answer = RedirectResponse(target, 303)
    give_session(request, answer, policy.token)
    return answer


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    """Forgets the token in this browser."""
    answer = RedirectResponse("/sign-in", 303)
    end_session(request, answer)
    return answer
