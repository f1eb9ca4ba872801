"""What all resources of the REST API share: rights and scopes, questions that are checked, versions, acts that count once."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextvars import Token
from typing import Any, ClassVar, NamedTuple

from django.conf import settings
from django.utils.http import parse_etags
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers
from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.viewsets import GenericViewSet

from audit import acts, services
from classifiers.errors import ForbiddenError, InputError, SafetyError
from classifiers.text import unstorable
from classifiers.types import digest

PAGE, MOST = 50, 200
KEY = r"[\x21-\x7e]{1,64}"


class MalformedError(InputError):
    """The request is not of the form that its address takes. What has the form and cannot be done is told apart, as 422."""


class PreconditionRequiredError(SafetyError):
    code = "precondition_required"
    status = 428


class Need(NamedTuple):
    """What an action takes: a scope of the token, and permissions of the person (services may ask for more)."""

    scope: str
    permissions: Sequence[str] = ()


class Allowed(BasePermission):
    """Whoever asks is known, the token reaches that far, and the person may."""

    def has_permission(self, request: Request, view: Any) -> bool:
        need = view.needs.get(view.action)
        if need is None:
            return True  # a method that the address does not take: 405 says so
        if not request.user.is_authenticated:
            raise NotAuthenticated("Send a token: Authorization: Bearer asm_… An account makes one in the console.")
        if request.auth is not None and need.scope not in request.auth.scopes:
            raise ForbiddenError(
                f"The token {request.auth.name} lacks the scope {need.scope}. Make one that has it.",
                code="scope_missing",
            )
        if missing := [name for name in need.permissions if not request.user.has_perm(name)]:
            raise ForbiddenError(
                f"Your account lacks the permission {missing[0]}. Ask an administrator for the right role."
            )
        return True


class Wrong(serializers.Serializer):
    """One thing that is wrong with a field."""

    field = serializers.CharField(help_text="Its path: source.limit, or prompts.0.")
    detail = serializers.CharField()


class Problem(serializers.Serializer):
    """What every refusal looks like."""

    code = serializers.CharField(help_text="Stable, for programs.")
    detail = serializers.CharField(help_text="What happened and what to do, for people.")
    wrong = Wrong(many=True, required=False, help_text="Field by field, what is wrong.")


class Question(serializers.Serializer):
    """What a query may ask; an unknown parameter or an impossible value is refused. Subclasses name the parameters."""


class Paged(Question):
    cursor = serializers.CharField(required=False, max_length=500, help_text="From next or previous of another page.")
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST, default=PAGE, help_text="Rows a page."
    )


class Cursor(CursorPagination):
    """By key: a page costs the same wherever it lies."""

    page_size, max_page_size, page_size_query_param, ordering = PAGE, MOST, "limit", "-pk"

    def get_schema_operation_parameters(self, view: Any) -> list[Any]:
        return []  # Paged has them


class Whole(Cursor):
    """All at once, for what is always short; in the form of a page, so that programs read every list alike."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        return list(queryset)

    def get_next_link(self) -> None:
        return None

    get_previous_link = get_next_link


class Schema(AutoSchema):
    """Adds what every action of a Resource takes and may answer."""

    REFUSALS = ("4XX", "503")

    def get_override_parameters(self) -> list[Any]:
        found: list[Any] = []
        question = question_of(self.view)
        if question and question().fields:
            found.append(question)
        if self.method == "POST":
            found.append(_header("Idempotency-Key", "Names this act, so that it counts once however often it is sent."))
        if self.view.action in getattr(self.view, "versioned", ()):
            found.append(_header("If-Match", "The ETag of the version that you saw.", required=True))
        return found

    def _is_list_view(self, serializer: Any = None) -> bool:
        return bool(self.view.pagination_class) and super()._is_list_view(serializer)

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction=direction)
        for status in self.REFUSALS:
            problem = OpenApiResponse(Problem, description="Refused; nothing was changed.")
            bodies.setdefault(status, self._get_response_for_code(problem, status, direction=direction))
        return bodies


def question_of(view: Any) -> type[Question] | None:
    """What the view's action may be asked: what it names, else for a list of pages the pages."""
    asks = getattr(view, "asks", {})
    if view.action in asks:
        return asks[view.action]
    return Paged if view.action == "list" and view.pagination_class not in (None, Whole) else None


def closed(result: Any, generator: Any, request: Any, public: Any) -> Any:
    """A hook of drf-spectacular: what a body does not name, it may not have."""
    bodies = [component for name, component in result["components"]["schemas"].items() if name.endswith("Request")]
    for component in bodies:
        if component.get("type") == "object" and component.get("properties"):
            component.setdefault("additionalProperties", False)
    return result


def _header(name: str, says: str, *, required: bool = False) -> OpenApiParameter:
    return OpenApiParameter(
        name, OpenApiTypes.STR, OpenApiParameter.HEADER, required=required, description=says,
        pattern=f"^{KEY}$",
    )  # fmt: skip


class Resource(GenericViewSet):
    """``needs`` names for each action what it takes; one that is not named is refused to all by a test.

    ``asks`` names the Question of an action (``Paged`` for lists by itself), whose answer is ``self.asked``.
    ``versioned`` are actions that need If-Match; the version is ``self.version``. ``repeatable`` are POST actions whose
    service tells by ``self.key`` that an act comes again; for the others the answer is kept and given again. It is not
    kept where it may quote a text (``quoting``) and texts are not kept as they come.
    """

    needs: ClassVar[Mapping[str, Need]] = {}
    asks: ClassVar[Mapping[str, type[Question]]] = {}
    versioned: ClassVar[Sequence[str]] = ()
    repeatable: ClassVar[Sequence[str]] = ()
    quoting: ClassVar[Sequence[str]] = ()
    permission_classes = (Allowed,)
    pagination_class = Cursor
    schema = Schema()
    lookup_value_converter = "int"

    asked: Mapping[str, Any]
    act: acts.Begun | None = None

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        before: Token[str] = services.VIA.set("")
        try:
            return super().dispatch(request, *args, **kwargs)
        finally:
            services.VIA.reset(before)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.action is None:
            raise MethodNotAllowed(str(request.method))
        if request.auth is not None:
            services.VIA.set(f"token {request.auth.pk}")
        self.asked = self._question(request)
        if request.method == "POST" and self.action not in self.repeatable and (key := _key(request)):
            self.act = acts.begin(request.user, path=request.path, key=key, body=request.data)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, acts.Repeated):
            return Response(exc.answer, status=exc.status_code, headers={"Idempotent-Replayed": "true"})
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        if self.act:
            kept = self.action not in self.quoting or settings.SAFETY_STORE_TEXT == "full"
            acts.end(
                self.act, status=response.status_code, answer=getattr(response, "data", None) if kept else acts.LOST
            )
        return super().finalize_response(request, response, *args, **kwargs)

    @property
    def actor(self) -> str:
        """Who the audit trail names."""
        return f"user:{self.request.user.get_username()}"

    @property
    def key(self) -> str:
        """Of this act: the one that was sent, or a new one."""
        return _key(self.request) or uuid.uuid4().hex

    @property
    def version(self) -> int:
        """That the caller saw. PreconditionRequiredError when they do not say."""
        sent = self.request.headers.get("If-Match", "").strip()
        if not sent:
            raise PreconditionRequiredError(
                "Send If-Match with the ETag of what you saw, so that nothing is overwritten."
            )
        if not re.fullmatch(KEY, sent):
            raise MalformedError("If-Match is the ETag of the version that you saw, as it stands.")
        number = sent.removeprefix("W/").strip('"')
        return int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else -1

    def _question(self, request: Request) -> Mapping[str, Any]:
        kind = question_of(self) or Question
        if unknown := sorted(set(request.query_params) - set(kind().fields)):
            known = ", ".join(kind().fields) or "nothing"
            raise InputError(f"There is no parameter {unknown[0][:60]!r} here. There is: {known}.")
        for name, value in request.query_params.items():
            if why := unstorable(value, name=f"The parameter {name}"):
                raise InputError(why)
        question = kind(data=request.query_params.dict())
        question.is_valid(raise_exception=True)
        return question.validated_data


def tagged(data: Any, version: int, **options: Any) -> Response:
    """An answer with the version of what it shows."""
    return Response(data, headers={"ETag": f'"{version}"'}, **options)


def fresh(request: Request, data: Any) -> Response:
    """An answer under an ETag made from what it says; 304 when the caller has seen just that."""
    tag = f'"{digest(json.dumps(data, cls=JSONEncoder, sort_keys=True))}"'
    seen = [each.removeprefix("W/") for each in parse_etags(request.headers.get("If-None-Match", ""))]
    headers = {"ETag": tag}
    return Response(status=304, headers=headers) if {tag, "*"} & {*seen} else Response(data, headers=headers)


def body(serializer: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    """What was sent, checked; unknown fields are refused, since a misspelt one would be lost without a word."""
    if not isinstance(request.data, Mapping):
        raise MalformedError("The body must be a JSON object.")
    if unknown := sorted(set(map(str, request.data)) - set(serializer().fields)):
        raise MalformedError(
            f"There is no field {unknown[0][:60]!r} here. There are: {', '.join(serializer().fields)}."
        )
    if wrong := dict(_mistyped(serializer(), request.data)):
        raise serializers.ValidationError(wrong)
    given = serializer(data=request.data)
    given.is_valid(raise_exception=True)
    return given.validated_data


KINDS: Mapping[type[serializers.Field], tuple[tuple[type, ...], str]] = {
    serializers.CharField: ((str,), "It must be a text."),
    serializers.BooleanField: ((bool,), "It must be true or false."),
    serializers.IntegerField: ((int, float), "It must be a whole number."),
    serializers.FloatField: ((int, float), "It must be a number."),
}


def _mistyped(field: serializers.Field, value: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """What Django REST framework would turn into something else, such as "yes" into true or 5 into "5"; and unknown
    fields of what stands inside."""
    if isinstance(field, serializers.Serializer) and isinstance(value, Mapping):
        for name, each in value.items():
            inner = f"{path}.{name}" if path else str(name)
            if name in field.fields:
                yield from _mistyped(field.fields[name], each, inner)
            else:
                yield inner, [f"There is no such field. There are: {', '.join(field.fields)}."]
    elif isinstance(field, serializers.ListField | serializers.ListSerializer) and isinstance(value, list):
        for place, each in enumerate(value):
            yield from _mistyped(field.child, each, f"{path}.{place}")
    elif isinstance(field, serializers.ManyRelatedField) and not isinstance(value, list):
        yield path, ["It must be a list."]
    elif value is not None:
        for kind, (types, sentence) in KINDS.items():
            if isinstance(field, kind) and (
                not isinstance(value, types) or isinstance(value, bool) != (types == (bool,))
            ):
                yield path, [sentence]


def _key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not re.fullmatch(KEY, key):
        raise MalformedError(f"An Idempotency-Key has 1 to {acts.MAX_KEY} characters of plain ASCII, and no space.")
    return key or ""
