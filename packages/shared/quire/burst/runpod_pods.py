"""A client of RunPod's pods: list, price, create, terminate, over GraphQL with variables.

`create` is asked for once and never again: where its answer is lost there may be a pod, which is then found by its
name. What the platform says in its errors is not repeated: it may hold the variables of a pod.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

from pydantic import SecretStr

from quire.burst.runpod_http import RunpodHttp, json_object, number_of
from quire.errors import (
    RunpodKeyRejected,
    RunpodNoCapacity,
    RunpodRefused,
    RunpodUncertain,
    RunpodUnreachable,
    SettingsError,
)
from quire.settings import Settings

# A pod that has had no task for so long ends itself: its controller is gone.
_POD_IDLE_SECONDS: Final = 900.0
# To find a machine takes RunPod a while.
_ANSWER_SECONDS: Final = 30.0
# The only status after which it is known that nothing was done: a pod that is made and not known of costs money.
_NOT_DONE: Final = (429,)

_LIST: Final = "query pods { myself { pods { id name desiredStatus costPerHr } } }"
_OFFER: Final = """
    query offer($id: String!, $secure: Boolean) { gpuTypes(input: {id: $id}) {
        lowestPrice(input: {gpuCount: 1, secureCloud: $secure}) { uninterruptablePrice } } }
"""
_CREATE: Final = """
    mutation create($input: PodFindAndDeployOnDemandInput!) { podFindAndDeployOnDemand(input: $input) { id costPerHr } }
"""
_TERMINATE: Final = "mutation end($input: PodTerminateInput!) { podTerminate(input: $input) }"

_NO_CAPACITY: Final = re.compile(r"no longer any instances|no instances|not enough free gpus", re.IGNORECASE)
_NOT_FOUND: Final = re.compile(r"not found|does not exist", re.IGNORECASE)
_UNAUTHORIZED: Final = re.compile(r"unauthori[sz]ed|unauthenticated|forbidden", re.IGNORECASE)
# The request is wrong, or cannot be paid for: nothing was done, and asking again helps nothing.
_REFUSED: Final = re.compile(
    r"GRAPHQL_VALIDATION_FAILED|GRAPHQL_PARSE_FAILED|BAD_USER_INPUT|balance|spend(ing)? limit", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class ListedPod:
    """A pod as RunPod lists it. `status` is what it is to be: CREATED, RUNNING, EXITED, TERMINATED.

    `id` is empty, and `price_per_hour` (USD) 0, where RunPod does not say.
    """

    id: str
    name: str
    status: str
    price_per_hour: float


@dataclass(frozen=True, slots=True)
class Offer:
    """A kind of machine that can be had now, and what it costs an hour (USD)."""

    gpu_type: str
    price_per_hour: float


@dataclass(frozen=True, slots=True)
class PodSpec:
    """What every pod is made of. `env`: its variables; values may refer to RunPod's secrets."""

    gpu_types: tuple[str, ...]
    cloud: str
    max_price: float
    image: str | None
    template: str | None
    cuda: str
    disk_gb: int
    registry_auth_id: str | None
    env: Mapping[str, SecretStr] = field(repr=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """What `RUNPOD_POD_*` say; the image's worker is told its queue and when to end itself.

        Raises:
            SettingsError: neither an image nor a template is set, or both are.
        """
        if (settings.runpod_pod_image is None) == (settings.runpod_pod_template is None):
            raise SettingsError("QUIRE_BURST=pods needs one of RUNPOD_POD_IMAGE and RUNPOD_POD_TEMPLATE.")
        lifetime = settings.quire_burst_lifetime_seconds + settings.quire_burst_boot_seconds
        own = {
            "CELERY_QUEUE": settings.ocr_queue,
            "CELERY_DEFAULT_QUEUE": settings.default_queue,
            "CELERY_OCR_QUEUE": settings.ocr_queue,
            "QUIRE_POD_LIFETIME_SECONDS": f"{lifetime:.0f}",
            "QUIRE_POD_IDLE_SECONDS": f"{_POD_IDLE_SECONDS:.0f}",
        }
        return cls(
            gpu_types=tuple(each.strip() for each in settings.runpod_pod_gpu_types.split(",") if each.strip()),
            cloud=settings.runpod_pod_cloud,
            max_price=settings.runpod_pod_max_price,
            image=settings.runpod_pod_image,
            template=settings.runpod_pod_template,
            cuda=settings.runpod_pod_cuda,
            disk_gb=settings.runpod_pod_disk_gb,
            registry_auth_id=settings.runpod_pod_registry_auth_id,
            env={name: SecretStr(value) for name, value in own.items()} | dict(settings.runpod_pod_env),
        )


class RunpodPods:
    """The pods of one deployment: those whose name begins with its prefix. No other is seen or touched.

    What every method raises, besides what it says itself: `RunpodKeyRejected`, where the key is not taken;
    `RunpodRefused`, where the same request will never be answered otherwise; `RunpodUnreachable`, where there was no
    answer, or "later", each time, and nothing was done.
    """

    def __init__(
        self,
        base_url: str,
        key: SecretStr,
        deployment: str,
        *,
        pause: Callable[[float], None] = time.sleep,
        answer_seconds: float = _ANSWER_SECONDS,
    ) -> None:
        self.prefix = f"quire-burst-{deployment}-"
        url = base_url.rstrip("/")
        self._http = RunpodHttp(url, key, pause=pause, not_done=_NOT_DONE, answer_seconds=answer_seconds)

    @classmethod
    def from_settings(cls, settings: Settings) -> RunpodPods:
        """The pods of `QUIRE_BURST_DEPLOYMENT`.

        Raises:
            SettingsError: a variable is missing.
        """
        if settings.runpod_api_key is None:
            raise SettingsError("QUIRE_BURST=pods needs RUNPOD_API_KEY.")
        return cls(settings.runpod_api_base_url, settings.runpod_api_key, settings.quire_burst_deployment)

    def __enter__(self) -> RunpodPods:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    def new_name(self, now: float) -> str:
        """A name that no other pod has, which says when it was made up."""
        return f"{self.prefix}{int(now):08x}-{secrets.token_hex(4)}"

    def created_at(self, name: str) -> float | None:
        """What a name says of when it was made up; None where it says nothing."""
        said = name.removeprefix(self.prefix).partition("-")[0]
        return float(int(said, 16)) if re.fullmatch(r"[0-9a-f]{8}", said) else None

    def list_pods(self) -> list[ListedPod]:
        """The pods there are; without those that are known to have ended."""
        myself = self._read("list", _LIST).get("myself")
        pods = myself.get("pods") if isinstance(myself, dict) else None
        if not isinstance(pods, list):
            # No list is not an empty list.
            raise RunpodUnreachable("RunPod did not say which pods there are. It is tried again.")
        # What is listed twice is there once.
        found = dict.fromkeys(_listed(each) for each in pods if isinstance(each, dict))
        return [pod for pod in found if pod.name.startswith(self.prefix) and pod.status != "TERMINATED"]

    def offer(self, spec: PodSpec) -> Offer | None:
        """The first of the types that can be had now and does not cost too much; None where there is none."""
        secure = {"SECURE": True, "COMMUNITY": False}.get(spec.cloud)
        for gpu_type in spec.gpu_types:
            types = self._read("price", _OFFER, {"id": gpu_type, "secure": secure}).get("gpuTypes")
            price = _price_of(types)
            if price is not None and 0 < price <= spec.max_price:
                return Offer(gpu_type, price)
        return None

    def create(self, name: str, spec: PodSpec, offer: Offer, *, ends_at: float) -> ListedPod:
        """Rent a pod, which RunPod ends by itself at `ends_at` (seconds since the epoch).

        Raises:
            RunpodNoCapacity: there is no such machine now.
            RunpodUncertain: it is not known whether there is a pod now; if there is one it has this name.
        """
        wanted: dict[str, Any] = {
            "name": name,
            "gpuTypeId": offer.gpu_type,
            "gpuCount": 1,
            "cloudType": spec.cloud,
            "containerDiskInGb": spec.disk_gb,
            "volumeInGb": 0,
            "minCudaVersion": spec.cuda,
            "startSsh": False,
            "terminateAfter": datetime.fromtimestamp(ends_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "imageName": spec.image,
            "templateId": spec.template,
            "containerRegistryAuthId": spec.registry_auth_id,
            "env": [{"key": key, "value": value.get_secret_value()} for key, value in spec.env.items()],
        }
        given = {key: value for key, value in wanted.items() if value is not None}
        made = self._write("create", _CREATE, {"input": given}).get("podFindAndDeployOnDemand")
        if not isinstance(made, dict) or not isinstance(made.get("id"), str):
            raise RunpodUncertain("RunPod made a pod and did not say which.")
        price = number_of(made.get("costPerHr"))
        return ListedPod(made["id"], name, "CREATED", offer.price_per_hour if price is None else price)

    def terminate(self, pod_id: str) -> None:
        """End a pod for good. One that is not there any more has ended; only `list_pods` says whether it is gone."""
        said = json_object(self._post("terminate", _TERMINATE, {"input": {"podId": pod_id}}, twice=True))
        errors = _errors_of(said)
        if errors and not any(_NOT_FOUND.search(each) for each in errors):
            raise self._meaning_of("terminate", errors, RunpodUnreachable)

    def _read(self, what: str, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        said = json_object(self._post(what, query, variables or {}, twice=True))
        if errors := _errors_of(said):
            raise self._meaning_of(what, errors, RunpodUnreachable)
        data = said.get("data")
        return data if isinstance(data, dict) else {}

    def _write(self, what: str, mutation: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        said = json_object(self._post(what, mutation, variables, twice=False))
        if errors := _errors_of(said):
            raise self._meaning_of(what, errors, RunpodUncertain)
        data = said.get("data")
        return data if isinstance(data, dict) else {}

    def _post(self, what: str, query: str, variables: Mapping[str, Any], *, twice: bool) -> Any:
        body = {"query": query, "variables": variables}
        return self._http.ask("POST", "graphql", body, what=what, twice=twice)

    def _meaning_of(
        self, what: str, errors: Sequence[str], otherwise: type[RunpodUnreachable] | type[RunpodUncertain]
    ) -> Exception:
        said = " ".join(errors)
        if _NO_CAPACITY.search(said):
            return RunpodNoCapacity("RunPod has no machine of that kind now. It is tried again.")
        if _UNAUTHORIZED.search(said):
            return RunpodKeyRejected(f"RunPod does not take the key for {what}: RUNPOD_API_KEY.")
        if _REFUSED.search(said):
            return RunpodRefused(f"RunPod refused {what}. Check the RUNPOD_POD_ variables and the account's balance.")
        return otherwise(f"RunPod answered {what} with an error. It is looked at again.")


def _errors_of(said: Mapping[str, Any]) -> list[str]:
    """What an answer has of errors, their codes with them; an answer of no known form is one as well."""
    errors = said.get("errors")
    if isinstance(errors, list) and errors:
        return [f"{each.get('message')} {each.get('extensions')}" for each in errors if isinstance(each, dict)] or ["?"]
    return [] if isinstance(said.get("data"), dict) else ["?"]


def _listed(said: Mapping[str, Any]) -> ListedPod:
    price = number_of(said.get("costPerHr")) or 0.0
    return ListedPod(str(said.get("id") or ""), str(said.get("name")), str(said.get("desiredStatus")), price)


def _price_of(types: Any) -> float | None:
    first = types[0] if isinstance(types, list) and types and isinstance(types[0], dict) else {}
    lowest = first.get("lowestPrice")
    return number_of(lowest.get("uninterruptablePrice")) if isinstance(lowest, dict) else None
